import { Refusal, refusals, type RefusalCode } from '../../../base/refusals.ts'

/** What every error of the HTTP API looks like. */
export type ErrorBody = {
  readonly error: {
    /** Stable: programs may branch on it. */
    readonly code: RefusalCode
    /** One sentence that names the thing refused. */
    readonly message: string
    /** What to do about it. */
    readonly todo: string
    /** Whether the same request may succeed later. */
    readonly retriable: boolean
  }
}

/** A refusal that knows better than the table what to do about it. */
export class Advice extends Refusal {
  readonly todo: string
  readonly retriable: boolean
  constructor(
    code: RefusalCode,
    message: string,
    todo: string,
    retriable: boolean = refusals[code].retriable,
  ) {
    super(code, message)
    this.todo = todo
    this.retriable = retriable
  }
}

export function errorBody(refusal: Refusal): ErrorBody {
  const { code, message } = refusal
  const { todo, retriable } = refusal instanceof Advice ? refusal : refusals[code]
  return { error: { code, message, todo, retriable } }
}

export const statusOf = (refusal: Refusal): number => refusals[refusal.code].http

/** A request that says something it may not say. `message` names the field or parameter. */
export const invalid = (message: string, todo = 'Correct it; /docs describes the request.'): Refusal =>
  new Advice('INVALID_REQUEST', message, todo)

/** `text` short enough, and plain enough, to stand in an error message. */
export const shown = (text: string): string => JSON.stringify(shortened(text))

/** The same of a value that came as JSON. */
export const shownJson = (json: unknown): string => shortened(JSON.stringify(json) ?? 'nothing')

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text)

/** The refusal of something within `field`. */
export const behindField = (field: string, refusal: Refusal): Refusal => {
  const message = `${field}: ${refusal.message}`
  return refusal instanceof Advice
    ? new Advice(refusal.code, message, refusal.todo, refusal.retriable)
    : new Refusal(refusal.code, message)
}
