/** What replication stands on, as pure functions: a history in which one of them is broken loses something. */
import type { BrokerId, Incarnation, Offset } from '../../base/quantities.ts'
import type { InSync, TabletAssignment } from '../../control/model.ts'
import type { Diverging } from './replica.ts'

export type Rules = {
  /** Every in-sync set that could be in force: what was committed, and what a change under way would make of it. */
  setsInForce(
    committed: TabletAssignment,
    inFlight: TabletAssignment | undefined,
  ): readonly (readonly InSync[])[]
  /** The offset below which every member of every set in force holds every record; undefined while one of them is not known. */
  heldByAll(
    sets: readonly (readonly InSync[])[],
    endOf: (member: InSync) => Offset | undefined,
  ): Offset | undefined
  /** Where a follower cuts its log, or undefined when it need not. `own` is the end, here, of the epoch that `diverging` names, or of the one before. */
  cutAt(
    diverging: Diverging,
    own: { readonly epoch: number; readonly end: number } | undefined,
    start: Offset,
  ): number | undefined
  /** May who leads give the tablet to a successor now? It takes no appends meanwhile, since `waitedMs`. */
  mayHandOver(at: {
    readonly successorEnd: Offset
    readonly highWatermark: Offset
    readonly logEnd: Offset
    readonly waitedMs: number
  }): boolean
  /** May this run lead when the leader is lost? */
  mayClaim(assignment: TabletAssignment, self: BrokerId, run: Incarnation): boolean
}

const othersMsMax = 200

export const soundRules: Rules = {
  setsInForce: (committed, inFlight) =>
    inFlight === undefined ? [committed.isr] : [committed.isr, inFlight.isr],

  heldByAll(sets, endOf) {
    let lowest: Offset | undefined
    for (const set of sets) {
      for (const member of set) {
        const end = endOf(member)
        if (end === undefined) return undefined
        if (lowest === undefined || end < lowest) lowest = end
      }
    }
    return lowest
  },

  /** Kafka's KIP-101 and KIP-595: of an epoch that both have, the shorter end; of one that only the leader has, the end of the one before. */
  cutAt(diverging, own, start) {
    if (own === undefined) return start
    return own.epoch === diverging.epoch ? Math.min(own.end, diverging.endOffset) : own.end
  },

  // Also what acks=1 has acknowledged goes with it; the others in sync are waited for, so that nobody is left without an answer, but not for long.
  mayHandOver: ({ successorEnd, highWatermark, logEnd, waitedMs }) =>
    successorEnd >= logEnd && (highWatermark >= logEnd || waitedMs >= othersMsMax),

  mayClaim: ({ isr }, self, run) =>
    isr.some(({ broker, incarnation }) => broker === self && incarnation === run),
}
