/** What an assignment asks of a replica: pure decisions on who leads, follows, claims, or must not begin at all. */
import type { BrokerId, Incarnation } from '../../base/quantities.ts'
import type { InSync, TabletAssignment } from '../../control/model.ts'
import { isMoving } from '../../control/moves.ts'

/** 'lead on' is the same leadership as before; 'claim' is to take a new epoch first. */
export type Stance = 'lead' | 'lead on' | 'follow' | 'claim'

type Replica = {
  readonly serves: boolean
  /** It began without its records in this run: what earlier ones were granted does not count. */
  readonly bornIn?: Incarnation
  readonly assignment: TabletAssignment | undefined
  /** Whether this run may count as the one that the entry names; it may where nothing says otherwise. */
  mayRenew?(entry: InSync): boolean
}
type Run = {
  readonly self: BrokerId
  readonly incarnation: Incarnation
  readonly diskSince: Incarnation
}

/** `replica.assignment` is what it was told before. A later run of this broker makes this one a stranger. */
export function stanceOf(replica: Replica, now: TabletAssignment, run: Run): Stance {
  const { assignment: before } = replica
  const entry = entryOf(now, run.self)
  const runIs = entry === undefined ? undefined : entry.incarnation - run.incarnation
  if (entry === undefined || runIs === undefined || runIs > 0) return 'follow'
  if (entry.incarnation < (replica.bornIn ?? 0)) return 'follow'
  // What it may have lost others may still have. Where they have not either, that is found out among them, and said.
  const hasLost = runIs < 0 && now.replicas.length > 1 && replica.mayRenew?.(entry) === false
  if (now.leader === undefined) return !hasLost && mayTakeOver(now, entry, run) ? 'claim' : 'follow'
  if (now.leader !== run.self || hasLost) return 'follow'
  const sameEpoch = before?.epoch === now.epoch
  if (sameEpoch && replica.serves) return 'lead on'
  // An epoch that names this run and that nobody was seen to lead is its own; any other it claims anew.
  return runIs === 0 && !sameEpoch ? 'lead' : 'claim'
}

/** Nobody leads: whoever is in sync in this run may, and who is the last one, on the disk that the entry was earned on. */
const mayTakeOver = (now: TabletAssignment, entry: InSync, run: Run): boolean =>
  entry.incarnation === run.incarnation || (now.isr.length === 1 && entry.incarnation >= run.diskSince)

/**
 * Why a replica must not begin with what is on this disk, which its broker has had since run `diskSince`, and where it began without its records in run
 * `bornIn`: an earlier run was in sync, so its records are not here. Undefined when nothing speaks against it.
 */
export function lostWith(
  assignment: TabletAssignment,
  self: BrokerId,
  diskSince: Incarnation,
  bornIn?: Incarnation,
): string | undefined {
  const entry = entryOf(assignment, self)
  if (entry === undefined) return undefined
  if (entry.incarnation < (bornIn ?? 0))
    return (
      `broker ${self} was in sync in run ${entry.incarnation}, and its records were lost before run ${bornIn}, which began without them: ` +
      'what it has counts for nothing until a leader lets it in. Where no leader is left, delete the topic'
    )
  if (entry.incarnation >= diskSince) return undefined
  return (
    `broker ${self} was in sync in run ${entry.incarnation} on another disk, and has this one since run ${diskSince}: ` +
    `its records are not here. ${remedyOf(assignment, 'Bring the old disk back')}`
  )
}

/**
 * Why a replica whose directory is missing must not begin with an empty one. `hasStray`: a directory of its name was set aside here; `wasHere`: it is noted that
 * there was one, which every run since `notedSince` does. Undefined for what was never here: a replica that is not in sync, one placed for such a run and not
 * noted, or one that nobody has led since it was placed.
 */
export function missingWith(
  assignment: TabletAssignment,
  { self, incarnation }: Pick<Run, 'self' | 'incarnation'>,
  hasStray: boolean,
  wasHere = hasStray,
  notedSince = incarnation,
): string | undefined {
  const entry = entryOf(assignment, self)
  if (entry === undefined) return undefined
  // Who never had a leader may have been told to move, and does not end that.
  const isAsPlaced = assignment.version === 0 || (assignment.epoch === 0 && isMoving(assignment))
  if (!wasHere && (entry.incarnation >= notedSince || isAsPlaced)) return undefined
  return (
    `broker ${self} was in sync in run ${entry.incarnation}, and the directory of the tablet is missing: it does not begin anew without its records. ` +
    remedyOf(
      assignment,
      `Stop the broker, ${hasStray ? 'take .stray off the name of the directory that was set aside' : 'bring the directory back'} and start it`,
    )
  )
}

/** Where others have replicas one of them may lead yet. */
const remedyOf = ({ replicas }: TabletAssignment, bringBack: string): string =>
  replicas.length === 1
    ? `${bringBack}, or delete the topic`
    : `Bring the other brokers back that were in sync: it is copied anew from whoever leads. ${bringBack}, where that cannot be`

const entryOf = ({ isr }: TabletAssignment, self: BrokerId): InSync | undefined =>
  isr.find(member => member.broker === self)
