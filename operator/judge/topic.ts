import { Refusal } from '../../base/refusals.ts'
import { brokerId, type BrokerId } from '../../base/quantities.ts'
import { annotations } from '../../control/kubernetes/resources/names.ts'
import { targetOf } from '../../control/moves.ts'
import { checkTopicName } from '../../control/names.ts'
import { topicTabletsMax } from '../../control/placement.ts'
import type { Member } from '../observe/members.ts'
import type { Seen } from '../observe/seen.ts'
import { settingFaults } from '../observe/settings.ts'
import { isUsurped, type TopicView } from '../../control/kubernetes/ownership.ts'
import { isBroken } from './pod.ts'
import type { Fault } from './fault.ts'

/** What keeps a LogTopic's new tablets from being placed, whatever the brokers do; undefined when nothing does. */
export function topicFault(seen: Seen, view: TopicView): Fault | undefined {
  const { topic, name, takenBy } = view
  if (takenBy !== undefined) {
    return {
      reason: 'NameTaken',
      message: `the LogTopic ${takenBy.metadata.name} already has the name ${name} in the LogCluster ${topic.spec.cluster}: give spec.name another one, or delete one of the two`,
    }
  }
  return (
    lostFault(view) ??
    nameFault(view) ??
    settingFault(view) ??
    sizeFault(seen, view) ??
    assignmentFault(seen, view)
  )
}

/** Tablets never become fewer. Where some were placed and are not there, new ones in their stead would begin without the records. */
function lostFault(view: TopicView): Fault | undefined {
  const before = view.topic.status?.tablets ?? 0
  const there = tabletCount(view)
  return there >= before
    ? undefined
    : {
        reason: 'TabletsLost',
        message: `${before} tablets had their places, ${there} are left: TabletSlices were deleted, and no new ones are made, as these would begin without the records. Restore the TabletSlices from a backup; or, to begin anew without the records, delete the LogTopic and what is left of its TabletSlices, and make it again`,
      }
}

function nameFault(view: TopicView): Fault | undefined {
  const { name, topic, collidesWith } = view
  if (isUsurped(topic)) {
    return {
      reason: 'InvalidName',
      message: `spec.name: ${name} is the topic of consumer groups, which brokers make themselves when the first group needs it; its shape is set with offsets.topic.num.partitions and the like in spec.config of the LogCluster: delete this LogTopic`,
    }
  }
  // What is placed is served; its name cannot change any more.
  if (collidesWith !== undefined && tabletCount(view) === 0) {
    return {
      reason: 'NameCollides',
      message: `spec.name: ${name} differs from the topic ${collidesWith} only in . and _, and Kafka's metrics could not tell them apart: make a LogTopic of another name, or delete one of the two`,
    }
  }
  try {
    checkTopicName(name)
    return undefined
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { reason: 'InvalidName', message: `spec.name: ${error.message}` }
  }
}

function settingFault({ topic }: TopicView): Fault | undefined {
  const faults = settingFaults('topic', topic.spec.config)
  return faults.length === 0
    ? undefined
    : { reason: 'UnknownSetting', message: `spec.config: ${faults.join('; ')}` }
}

/** How many replicas all of its tablets have, or shall have when they have moved; undefined where these are not as many. */
export function agreedCopies({ slices }: TopicView): number | undefined {
  let agreed: number | undefined
  for (const { tablets } of slices) {
    for (const tablet of tablets) {
      const copies = targetOf(tablet).length
      if (agreed !== undefined && agreed !== copies) return undefined
      agreed = copies
    }
  }
  return agreed
}

/** How many replicas its tablets were last told to have; undefined while none is placed. */
export function copiesOf(view: TopicView): number | undefined {
  if (tabletCount(view) === 0) return undefined
  const { status, spec } = view.topic
  return status?.replication ?? agreedCopies(view) ?? spec.replication
}

/**
 * How many replicas its tablets are to get because spec.replication has changed. Undefined where it has not: what single tablets have otherwise then, Kafka's tools
 * have told them.
 */
export function wantedCopies(view: TopicView): number | undefined {
  const copies = copiesOf(view)
  const { replication } = view.topic.spec
  return copies === undefined || copies === replication ? undefined : replication
}

function sizeFault({ cluster }: Seen, view: TopicView): Fault | undefined {
  const { topic } = view
  const { tablets, replication } = topic.spec
  const isNews = tabletCount(view) === 0 || wantedCopies(view) !== undefined
  if (tablets > topicTabletsMax) {
    return {
      reason: 'TooManyTablets',
      message: `spec.tablets is ${tablets}: at most ${topicTabletsMax} are served`,
    }
  }
  if (isNews && replication > cluster.spec.brokers) {
    return {
      reason: 'ReplicationTooHigh',
      message: `spec.replication is ${replication}, the LogCluster ${cluster.metadata.name} has ${cluster.spec.brokers} brokers: lower it, or raise spec.brokers of the LogCluster`,
    }
  }
  return undefined
}

/** The brokers of the first tablets as their maker has chosen them; undefined when there is no choice. */
export function assignmentOf({
  topic,
}: TopicView): readonly (readonly BrokerId[])[] | 'unreadable' | undefined {
  const text = topic.metadata.annotations?.[annotations.assignment]
  if (text === undefined) return undefined
  try {
    const lists: unknown = JSON.parse(text)
    if (!Array.isArray(lists)) return 'unreadable'
    const isList = (list: unknown): list is number[] =>
      Array.isArray(list) && list.every(id => Number.isSafeInteger(id) && id >= 0)
    return lists.every(isList) ? lists.map(list => list.map(brokerId)) : 'unreadable'
  } catch {
    return 'unreadable'
  }
}

function assignmentFault(seen: Seen, view: TopicView): Fault | undefined {
  const assignment = assignmentOf(view)
  const where = `the annotation ${annotations.assignment}`
  if (assignment === undefined) return undefined
  if (assignment === 'unreadable') {
    return {
      reason: 'InvalidAssignment',
      message: `${where} is not a list of lists of broker ids, as [[0,1],[1,2]]: correct or remove it`,
    }
  }
  const placed = tabletCount(view)
  const ids = new Set(seen.members.filter(member => !member.excess).map(member => member.id))
  for (const [tablet, replicas] of assignment.entries()) {
    if (tablet < placed) continue
    const unknown = replicas.find(id => !ids.has(id))
    const twice = new Set(replicas).size < replicas.length
    if (replicas.length > 0 && unknown === undefined && !twice) continue
    const why =
      unknown === undefined ? 'on no broker or twice on one' : `on broker ${unknown}, which is not there`
    return {
      reason: 'InvalidAssignment',
      message: `${where} puts tablet ${tablet} ${why}; there are brokers ${[...ids].join(', ')}: correct or remove it`,
    }
  }
  return undefined
}

export const tabletCount = ({ slices }: TopicView): number =>
  slices.reduce((sum, slice) => sum + slice.tablets.length, 0)

/** Brokers that a user has chosen to lead new tablets and that have never registered: nobody knows their incarnation yet. */
export function leadersToCome(view: TopicView, { members }: Ground): BrokerId[] {
  const assignment = assignmentOf(view)
  if (!Array.isArray(assignment)) return []
  const registered = new Set(members.map(member => member.id))
  const chosen = assignment
    .slice(tabletCount(view), view.topic.spec.tablets)
    .flatMap(([first]) => first ?? [])
  return [...new Set(chosen)].filter(id => !registered.has(id))
}

/** Where new tablets may go now. */
export type Ground = {
  /** Brokers that have registered. */
  readonly members: readonly Member[]
  /** Whether it is too early: brokers of a new cluster are still starting, and the first would get everything. */
  readonly tooEarly: boolean
}

export function groundOf(seen: Seen): Ground {
  const staying = seen.members.filter(member => !member.excess)
  const members = staying.filter(member => member.record !== undefined)
  const starting = staying.some(member => !member.ready && !isStuck(member))
  const someReady = members.some(member => member.ready)
  return { members, tooEarly: !someReady || (seen.slices.size === 0 && starting) }
}

const isStuck = ({ pod }: Member): boolean =>
  pod !== undefined && (isBroken(pod) || pod.spec?.nodeName === undefined)
