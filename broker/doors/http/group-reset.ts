/** Moves a group that nobody is in to other offsets. The whole request is checked before anything is moved. */
import { Refusal } from '../../../base/refusals.ts'
import type { CoordinatedGroup, OffsetCommit } from '../../groups/coordinator.ts'
import type { Router } from '../../router/router.ts'
import { invalid } from './errors.ts'
import { exactOffset, membersText } from './group-json.ts'
import type { Bounds } from './ends.ts'
import { offsetOf } from './offsets.ts'
import { kindOf } from './record-in.ts'
import type { Serving } from './serving.ts'

export const resetFields = ['topic', 'partitions', 'offset', 'timestamp', 'shift', 'dry_run'] as const

export type Moved = {
  readonly topic: string
  readonly partition: number
  readonly from: number | string | null
  readonly to: number
  /** Where it was to go, when that lies outside of the partition. */
  readonly asked?: number
}

/** Answers whether the group was not there before, and where each partition was and is now. @throws Refusal; nothing was moved then */
export async function resetGroup(
  { router, world, ends }: Serving,
  groupId: string,
  fields: Readonly<Record<string, unknown>>,
): Promise<{ new_group: boolean; offsets: Moved[] }> {
  const coordinator = router.groups.of(groupId)
  const coordinated = coordinator.find(groupId)
  const members = coordinated?.group.members.size ?? 0
  if (coordinated !== undefined && coordinated.group.state !== 'Empty')
    throw new Refusal(
      'NON_EMPTY_GROUP',
      `Group ${groupId} has ${membersText(members)}, which would not hear of it`,
    )
  const places = placesOf(router, coordinated, groupId, fields)
  const moved: Moved[] = []
  for (const { topic, partition } of places) {
    const from = coordinated?.offsets.get(topic, partition)?.offset ?? null
    checkWay(fields)
    const given = fields['timestamp'] === undefined ? undefined : textOf('timestamp', fields['timestamp'])
    const bounds = await ends.bounds(topic, partition, given)
    const wanted = target(bounds, from, fields)
    const to = Math.min(Math.max(wanted, bounds.logStart), bounds.highWatermark)
    const asked = to === wanted ? {} : { asked: wanted }
    moved.push({ topic, partition, from: from === null ? null : exactOffset(from), to, ...asked })
  }
  const answer = { new_group: coordinated === undefined, offsets: moved }
  if (dryRun(fields['dry_run']) || moved.length === 0) return answer
  const commitTimestamp = world.clock.nowMs()
  const commits: OffsetCommit[] = moved.map(({ topic, partition, to }) => ({
    topic,
    partition,
    value: { offset: to, leaderEpoch: -1, metadata: '', commitTimestamp, expireTimestamp: -1 },
  }))
  const nobody = { memberId: '', instanceId: null, generation: -1 }
  const refused = await coordinator.commit(groupId, nobody, commits)
  if (refused === undefined) return answer
  // Somebody joined while we looked.
  const code = refused === 'UNKNOWN_MEMBER_ID' ? 'NON_EMPTY_GROUP' : refused
  throw new Refusal(code, `The offsets of group ${groupId} could not be kept`)
}

type Place = { readonly topic: string; readonly partition: number }

/** The partitions that are named, or all of the topic, or all that the group has committed for. */
function placesOf(
  router: Router,
  coordinated: CoordinatedGroup | undefined,
  groupId: string,
  { topic, partitions }: Readonly<Record<string, unknown>>,
): Place[] {
  if (topic === undefined) {
    if (partitions !== undefined) throw invalid('partitions are given without their topic')
    if (coordinated === undefined) throw new Refusal('GROUP_ID_NOT_FOUND', `There is no group ${groupId}`)
    return [...coordinated.offsets].map(({ topic, partition }) => ({ topic, partition }))
  }
  if (typeof topic !== 'string') throw invalid(`topic must be a string, not ${kindOf(topic)}`)
  const count = router.topics().get(topic)?.tablets.length
  if (count === undefined)
    throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${topic.slice(0, 249)}`)
  if (partitions === undefined) return Array.from({ length: count }, (_, partition) => ({ topic, partition }))
  if (!Array.isArray(partitions)) throw invalid(`partitions must be an array, not ${kindOf(partitions)}`)
  const wanted = new Set(partitions.map((partition: unknown) => partitionIn(partition, topic, count)))
  return [...wanted].map(partition => ({ topic, partition }))
}

function partitionIn(json: unknown, topic: string, count: number): number {
  if (typeof json === 'number' && Number.isInteger(json) && json >= 0 && json < count) return json
  const given = JSON.stringify(json)?.slice(0, 20)
  throw new Refusal(
    'UNKNOWN_TOPIC_OR_PARTITION',
    `Topic ${topic} has partitions 0 to ${count - 1}, not ${given}`,
  )
}

const ways = ['offset', 'timestamp', 'shift'] as const

function checkWay(fields: Readonly<Record<string, unknown>>): void {
  if (ways.filter(way => fields[way] !== undefined).length === 1) return
  throw invalid('Exactly one of offset, timestamp and shift says where to go')
}

function target(
  { logStart, highWatermark, found }: Bounds,
  from: number | null,
  fields: Readonly<Record<string, unknown>>,
): number {
  const { offset, shift } = fields
  if (shift !== undefined) {
    if (typeof shift !== 'number' || !Number.isInteger(shift)) throw invalid('shift must be a whole number')
    return (from ?? logStart) + shift
  }
  if (offset !== undefined) {
    return offsetOf('offset', textOf('offset', offset), {
      earliest: logStart,
      latest: highWatermark,
    })
  }
  return found ?? highWatermark
}

function textOf(name: string, json: unknown): string {
  if (typeof json === 'string' || typeof json === 'number') return String(json)
  throw invalid(`${name} must be a string or a number, not ${kindOf(json)}`)
}

function dryRun(json: unknown): boolean {
  if (json === undefined || typeof json === 'boolean') return json ?? false
  throw invalid(`dry_run must be true or false, not ${kindOf(json)}`)
}
