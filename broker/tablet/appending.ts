import type { Refusal } from '../../base/refusals.ts'

/** Kafka's acks: 0 asks for no answer, 1 for the leader's own write, -1 for every in-sync replica's. */
export type Acks = 0 | 1 | -1

/**
 * Who asked for an append, and is told once how it went. `slot` is the asker's own number, handed back as it came, so that
 * a request with many batches needs one object and no closures.
 */
export type Appending = {
  /** The records have offsets from `baseOffset` on. `logAppendTimeMs` is -1 unless message.timestamp.type is LogAppendTime. */
  appended(slot: number, baseOffset: number, logAppendTimeMs: number, logStart: number): void
  refused(slot: number, refusal: Refusal): void
}
