import { refusals, Refusal } from '../base/refusals.ts'
import { printable } from './printable.ts'

/** Exit codes that scripts may trust. */
export const exitCodes = { fine: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** What ends a command, told to the user in one sentence and, where it helps, what to do. Never a bug of ours. */
export class Failure extends Error {
  override name = 'Failure'
  readonly todo: string | undefined
  readonly exitCode: number

  constructor(message: string, todo?: string, exitCode: number = exitCodes.failed) {
    super(message)
    this.todo = todo
    this.exitCode = exitCode
  }
}

/** A command line that cannot be meant: ends the command with exit code 2. */
export const usageFailure = (message: string, todo?: string): Failure =>
  new Failure(message, todo, exitCodes.usage)

/** Ctrl-C at a question: who pressed it needs no words. */
export class Interrupted extends Error {
  override name = 'Interrupted'
}

/**
 * The text a user sees for `error`, and the exit code. What the system says (errno) and what is refused is a sentence; only
 * what nobody foresaw shows a stack, because that is a bug someone will have to find.
 */
export function explain(error: unknown): { text: string; exitCode: number } {
  if (error instanceof Interrupted) return { text: '', exitCode: exitCodes.interrupted }
  if (error instanceof Failure) return { text: sentence(error.message, error.todo), exitCode: error.exitCode }
  if (error instanceof Refusal) {
    return { text: sentence(error.message, refusals[error.code].todo), exitCode: exitCodes.failed }
  }
  const foreseen = asForeseen(error)
  if (foreseen !== undefined) return { text: foreseen, exitCode: exitCodes.failed }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { text: `stele: this should not have happened: ${stack}\n`, exitCode: exitCodes.failed }
}

function asForeseen(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('todo' in error && typeof error.todo === 'string') return sentence(error.message, error.todo)
  if ('syscall' in error && 'code' in error) return sentence(error.message, undefined)
  return undefined
}

const sentence = (message: string, todo: string | undefined): string =>
  `stele: ${printable(message)}\n${todo === undefined ? '' : `       ${printable(todo)}\n`}`
