/**
 * Who leads a tablet when nobody in sync can, as pure rules: in comes what the replicas have said of themselves, out comes by whose word one of them may lead.
 * What always holds: whoever may come back with more and was not heard is waited for, unless the owner has said otherwise; and nobody leads who holds less
 * than another that was heard.
 */
import type { BrokerId, Incarnation } from '../../base/quantities.ts'
import type { Found, InSync, TabletAssignment } from '../../control/model.ts'
import type { FollowerRun, Replica } from './replica.ts'

/**
 * all lost: every member of the last set is back and may have lost what was not synced, which `stele.flush=os` allows. topic:
 * `unclean.leader.election.enable`. owner: somebody asked for it, for this tablet and epoch.
 */
export type Word = 'all lost' | 'topic' | 'owner'

export type Around = {
  /** The run that counts, as the control store knows it. */
  runOf(broker: BrokerId): Incarnation | undefined
  /** The control store has not seen the broker for a lease time. */
  isSilent(broker: BrokerId): boolean
}

type Wants = {
  /** `stele.flush=os` */
  readonly os: boolean
  /** `unclean.leader.election.enable`, and nobody in sync was there for long enough. */
  readonly topicAllows: boolean
}

/** By whose word `self` may lead now, although it is not in sync; undefined while it may not. */
export function mayLeadWith(
  now: TabletAssignment,
  self: FollowerRun,
  around: Around,
  { os, topicAllows }: Wants,
): Word | undefined {
  const own = now.found?.find(({ broker }) => broker === self.broker)
  if (own?.incarnation !== self.incarnation || own.trouble === 'offline') return undefined
  if (os && mayLeadAfterAllLost(now, own)) return 'all lost'
  const word = now.unclean === true ? 'owner' : topicAllows ? 'topic' : undefined
  return word !== undefined && mayLeadByWord(now, own, around, word) ? word : undefined
}

/** Whether who is named as the leader has not said that it cannot lead; nothing is known of whether it is there. */
export const isNamed = ({ leader, isr, found = [] }: TabletAssignment): boolean => {
  const entry = isr.find(({ broker }) => broker === leader)
  return (
    entry !== undefined && !found.some(one => one.broker === leader && one.incarnation >= entry.incarnation)
  )
}

/** Whether somebody leads who is there. */
export function isLed(now: TabletAssignment, around: Around): boolean {
  const entry = now.isr.find(({ broker }) => broker === now.leader)
  return (
    entry !== undefined &&
    isNamed(now) &&
    around.runOf(entry.broker) === entry.incarnation &&
    !around.isSilent(entry.broker)
  )
}

/** Nobody can have more: every member of the set has said what it has since it came back, and that it is not what it had. */
function mayLeadAfterAllLost({ isr, found = [] }: TabletAssignment, own: Found): boolean {
  const heard = isr.map(member => found.find(one => isLaterRunOf(one, member) && one.trouble !== 'offline'))
  return own.trouble === undefined && heard.includes(own) && heard.every(one => one && !hasMore(one, own))
}

const isLaterRunOf = ({ broker, incarnation }: Found, member: InSync): boolean =>
  broker === member.broker && incarnation > member.incarnation

/** Everyone who is there was heard, nobody in sync is among them, and nobody has more. */
function mayLeadByWord(now: TabletAssignment, own: Found, around: Around, word: Word): boolean {
  const present = now.replicas.filter(
    broker => around.runOf(broker) !== undefined && !around.isSilent(broker),
  )
  const heard = (now.found ?? []).filter(
    ({ broker, incarnation }) => present.includes(broker) && around.runOf(broker) === incarnation,
  )
  if (!present.every(broker => heard.some(one => one.broker === broker))) return false
  const able = heard.filter(({ trouble }) => trouble !== 'offline')
  if (!able.includes(own) || able.some(one => hasMore(one, own))) return false
  if (own.epoch >= 0) return true
  // Without records it could only begin anew, so nobody may come back who has some; and what was lost here is given up by the owner alone.
  return able.length === now.replicas.length && (own.trouble === undefined || word === 'owner')
}

/** Whether others that may not lead by themselves either have said that they have more: the one that holds most goes first. */
export const othersHoldMore = (
  { assignment, held }: Pick<Replica, 'assignment' | 'held'>,
  self: FollowerRun | undefined,
): boolean =>
  held !== undefined &&
  (assignment?.found ?? []).some(
    one => one.broker !== self?.broker && one.trouble === undefined && hasMore(one, held),
  )

/** Logs of one epoch are parts of each other; one that has seen a later epoch has more of what was last acknowledged (KIP-101). */
const hasMore = (a: Found, b: Pick<Found, 'epoch' | 'end'>): boolean =>
  a.epoch > b.epoch || (a.epoch === b.epoch && a.end > b.end)
