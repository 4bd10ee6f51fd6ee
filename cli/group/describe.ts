import { plural, table } from '../format.ts'
import { printable } from '../printable.ts'

export type GroupDescription = {
  readonly group: string
  readonly state: string
  readonly protocol: string | null
  readonly generation: number
  readonly members: readonly {
    readonly member_id: string
    readonly instance_id: string | null
    readonly client_id: string
    readonly host: string
    readonly assigned: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
  }[]
  readonly offsets: readonly {
    readonly topic: string
    readonly partition: number
    /** A text where a number would not be exact. */
    readonly committed_offset: number | string | null
    readonly high_watermark: number | null
    readonly lag: number | null
    readonly member_id: string | null
  }[]
}

/** A group as people read it: where it stands in each partition, then who is in it. */
export function describedGroup(group: GroupDescription): string {
  const { state, generation, protocol, members } = group
  const how = protocol === null ? '' : `, ${protocol}`
  return [
    `${printable(`${group.group}: ${state}, generation ${generation}${how}`)}, ${plural(members.length, 'member')}\n`,
    group.offsets.length === 0 ? '' : `\n${offsetsTable(group)}`,
    members.length === 0 ? '' : `\n${membersTable(group)}`,
  ].join('')
}

function offsetsTable({ offsets }: GroupDescription): string {
  const rows = offsets
    .toSorted((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
    .map(one => [
      one.topic,
      one.partition,
      one.committed_offset ?? '-',
      one.high_watermark ?? '-',
      one.lag ?? '-',
      one.member_id ?? '-',
    ])
  return table([['TOPIC', 'PARTITION', 'COMMITTED', 'END', 'LAG', 'MEMBER'], ...rows])
}

function membersTable({ members }: GroupDescription): string {
  const rows = members.map(({ member_id, instance_id, client_id, host, assigned }) => [
    member_id,
    instance_id ?? '-',
    client_id,
    host,
    assigned.map(({ topic, partitions }) => `${topic}: ${partitions.join(',')}`).join('; ') || '-',
  ])
  return table([['MEMBER', 'INSTANCE', 'CLIENT', 'HOST', 'READS'], ...rows])
}
