import type { TopicDescription } from '../broker-http.ts'
import { bytes, plural, table } from '../format.ts'

/** A topic as people read it: its partitions, then the settings that are not defaults, or `all` of them. */
export function describedTopic(topic: TopicDescription, all: boolean): string {
  const partitions = topic.partitions.map(p => [
    p.partition,
    p.leader ?? 'none',
    p.replicas.join(','),
    p.isr.join(','),
    p.log_start_offset ?? '-',
    p.high_watermark ?? '-',
    p.size_bytes === null ? '-' : bytes(p.size_bytes),
  ])
  const settings = Object.entries(topic.config).filter(([, { source }]) => all || source !== 'default')
  return [
    `${topic.name} (${topic.topic_id}), ${plural(topic.partitions.length, 'partition')}\n\n`,
    table([['PARTITION', 'LEADER', 'REPLICAS', 'IN SYNC', 'START', 'END', 'SIZE'], ...partitions]),
    ...topic.partitions.flatMap(p =>
      p.offline === undefined ? [] : [`\npartition ${p.partition} is offline: ${p.offline}\n`],
    ),
    settings.length === 0 ? '' : `\n${settingsTable(settings)}`,
  ].join('')
}

const settingsTable = (settings: readonly [string, { value: string; source: string }][]): string =>
  table([['SETTING', 'VALUE', 'FROM'], ...settings.map(([name, { value, source }]) => [name, value, source])])
