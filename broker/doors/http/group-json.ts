/** Groups as the HTTP API shows them. Nothing here changes one. */
import { writeInt64 } from '../../../base/int64.ts'
import { MIB } from '../../../base/quantities.ts'
import { assignedTopics, consumerProtocolType } from '../../../protocol/kafka/consumer-protocol.ts'
import type { CoordinatedGroup } from '../../groups/coordinator.ts'
import type { DescribedMember } from '../../groups/group-messages.ts'
import { describedMembers } from '../../groups/group-views.ts'
import type { Group } from '../../groups/group.ts'
import type { Router } from '../../router/router.ts'
import type { Ends } from './ends.ts'
import type { Serving } from './serving.ts'

/** Of a group's assignments no more than these bytes are read: four a partition, and nobody has a million of them. */
const assignmentBytesMax = 4 * MIB

/** Records between `offset` and the end of the partition; null when nobody has said where that is. */
export function lagOf(ends: Ends, topic: string, partition: number, offset: number): number | null {
  const end = ends.highWatermark(topic, partition)
  return end === null || offset < 0 ? null : Math.max(0, end - offset)
}

/** `1 member`, `2 members`. */
export const membersText = (count: number): string => `${count} member${count === 1 ? '' : 's'}`

/** A group may commit any 64 bits: beyond what JSON's readers take exactly, a text says what Kafka clients are answered. */
export function exactOffset(offset: number): number | string {
  if (Number.isSafeInteger(offset)) return offset
  const bytes = Buffer.alloc(8)
  writeInt64(bytes, offset, 0)
  return bytes.readBigInt64BE(0).toString()
}

/** The list of groups, bit by bit; adding up a group's lag yields empty bits. */
export function* groupList(
  ends: Ends,
  all: readonly CoordinatedGroup[],
  others: readonly object[],
): Generator<string, void> {
  yield '{"groups":['
  for (const [n, { group, offsets }] of all.entries()) {
    let lag = 0
    for (const { topic, partition, value } of offsets) {
      lag += lagOf(ends, topic, partition, value.offset) ?? 0
      yield ''
    }
    yield `${n === 0 ? '' : ','}${JSON.stringify(groupRow(group, lag))}`
  }
  for (const [n, row] of others.entries()) yield `${n + all.length === 0 ? '' : ','}${JSON.stringify(row)}`
  yield ']}'
}

function groupRow(group: Group, lag: number): object {
  return {
    group: group.id,
    state: group.state,
    protocol_type: group.protocolType ?? null,
    members: group.members.size,
    lag,
  }
}

/** A group with its members, and every partition that it has committed for or that a member reads. */
export function groupDescription(
  { router, ends }: Pick<Serving, 'router' | 'ends'>,
  coordinated: CoordinatedGroup,
): object {
  const { group } = coordinated
  let readBytes = 0
  const members = describedMembers(group).map(member => {
    readBytes += member.assignment.length
    const reads = group.protocolType === consumerProtocolType && readBytes <= assignmentBytesMax
    return { member, assigned: reads ? assignedOf(router, member.assignment) : [] }
  })
  const readers = new Map<string, string>()
  for (const { member, assigned } of members)
    for (const { topic, partitions } of assigned)
      for (const partition of partitions) readers.set(`${topic}-${partition}`, member.memberId)
  return {
    group: group.id,
    state: group.state,
    protocol_type: group.protocolType ?? null,
    protocol: group.protocol ?? null,
    generation: group.generation,
    members: members.map(({ member, assigned }) => ({ ...memberJson(member), assigned })),
    offsets: [
      ...committedRows(ends, coordinated, readers),
      ...uncommittedRows(ends, coordinated, readers),
    ].sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition)),
  }
}

/** A leader may assign whatever it likes: what is not there is not shown. */
const assignedOf = (router: Router, assignment: Buffer) =>
  (assignedTopics(assignment) ?? []).map(({ topic, partitions }) => ({
    topic,
    partitions: [...new Set(partitions)].filter(
      partition => router.topics().get(topic)?.tablets[partition] !== undefined,
    ),
  }))

const memberJson = ({ memberId, instanceId, clientId, clientHost }: DescribedMember): object => ({
  member_id: memberId,
  instance_id: instanceId,
  client_id: clientId,
  host: clientHost.replace(/^\//, ''),
})

type Readers = ReadonlyMap<string, string>
type Row = Readonly<Record<string, unknown>> & { readonly topic: string; readonly partition: number }

const committedRows = (ends: Ends, { offsets }: CoordinatedGroup, readers: Readers): Row[] =>
  [...offsets].map(({ topic, partition, value }) => ({
    topic,
    partition,
    committed_offset: exactOffset(value.offset),
    high_watermark: ends.highWatermark(topic, partition),
    lag: lagOf(ends, topic, partition, value.offset),
    metadata: value.metadata,
    committed_at: value.commitTimestamp,
    member_id: readers.get(`${topic}-${partition}`) ?? null,
  }))

/** What is read, and was never committed. */
function* uncommittedRows(ends: Ends, { offsets }: CoordinatedGroup, readers: Readers): Generator<Row, void> {
  for (const [place, memberId] of readers) {
    const dash = place.lastIndexOf('-')
    const [topic, partition] = [place.slice(0, dash), Number(place.slice(dash + 1))]
    if (offsets.get(topic, partition) !== undefined) continue
    yield {
      topic,
      partition,
      committed_offset: null,
      high_watermark: ends.highWatermark(topic, partition),
      lag: null,
      metadata: null,
      committed_at: null,
      member_id: memberId,
    }
  }
}
