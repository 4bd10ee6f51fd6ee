/**
 * What a broker and the process that keeps the control store say to each other. Values go over as structured clones: whatever the model has may be
 * in them, but errors lose their class and are written out. Either may be of another version (decision 0010): messages and changes of a kind that is not known are
 * passed over, and a question that is not known is refused.
 */
import { InvariantViolation } from '../../base/assert.ts'
import type { BrokerId } from '../../base/quantities.ts'
import { Refusal, refusals, type RefusalCode } from '../../base/refusals.ts'
import type { State } from '../embedded/state.ts'
import type { TabletAssignment, Topic } from '../model.ts'
import type { ControlEvent, ControlStore } from '../store.ts'

/** Messages in order, to one other process. What is sent after its end goes nowhere. */
export type Channel<Out, In> = {
  /** `sent` is called once when the message has left this process, or never will. */
  send(message: Out, sent?: () => void): void
  /** Ends the other process, which reads nothing any more; `ended` is called then. */
  abandon?(): void
  /** Set by who listens. */
  received: (message: In) => void
  ended: () => void
}

/** What is asked of the store itself; reads are answered from a copy. */
export const questions = [
  'createTopics',
  'deleteTopic',
  'addTablets',
  'alterTopicSettings',
  'alterBrokerSettings',
  'changeTablets',
  'registerBroker',
  'announceAddresses',
  'leaving',
] as const satisfies readonly (keyof ControlStore)[]
export type Asked = (typeof questions)[number]

export type Question<M extends Asked = Asked> = {
  readonly [N in M]: {
    readonly kind: 'question'
    readonly number: number
    readonly method: N
    readonly args: Parameters<ControlStore[N]>
  }
}[M]

/** Any message shows that the broker lives. */
export type ToStore = Question | { readonly kind: 'alive' }

export type ToBroker =
  | { readonly kind: 'begin'; readonly clusterId: string; readonly state: Omit<State, 'topicsById'> }
  | { readonly kind: 'changes'; readonly changes: readonly Change[] }
  | { readonly kind: 'answer'; readonly number: number; readonly answer: unknown }
  | { readonly kind: 'error'; readonly number: number; readonly error: WrittenError }
  /** Milliseconds since each broker has shown itself, as far as the store's process was awake to see it. */
  | { readonly kind: 'seen'; readonly ages: readonly (readonly [BrokerId, number])[] }

/** An event without what the other side has already. */
export type Change =
  | Exclude<ControlEvent, { readonly kind: 'topic-changed' }>
  | {
      readonly kind: 'topic-changed'
      readonly id: string
      readonly settings: Topic['settings']
      readonly tablets: readonly (readonly [number, TabletAssignment])[]
    }

export function changeOf(event: ControlEvent): Change {
  if (event.kind !== 'topic-changed') return event
  const { topic, before } = event
  const tablets = topic.tablets.flatMap((tablet, n) =>
    tablet === before.tablets[n] ? [] : [[n, tablet] as const],
  )
  return { kind: 'topic-changed', id: topic.id, settings: topic.settings, tablets }
}

export type WrittenError = {
  readonly error: 'refusal' | 'bug' | 'other'
  readonly code?: RefusalCode
  readonly message: string
}

export function writeError(error: unknown): WrittenError {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof Refusal) return { error: 'refusal', code: error.code, message }
  return { error: error instanceof InvariantViolation ? 'bug' : 'other', message }
}

export function readError({ error, code, message }: WrittenError): Error {
  if (error === 'refusal' && code !== undefined)
    return new Refusal(code in refusals ? code : 'UNKNOWN_SERVER_ERROR', message)
  return error === 'bug' ? new InvariantViolation(message) : new Error(message)
}

/** How often each side shows the other that it lives. */
export const showMs = 500
