import { percentOf } from '../../control/copied.ts'
import type { TopicDescription } from '../broker-http.ts'
import { command } from '../start/command-name.ts'
import { bytes, plural, table } from '../format.ts'

/** A topic as people read it: its partitions, then the settings that are not defaults, or `all` of them. */
export function describedTopic(topic: TopicDescription, all: boolean): string {
  const isCopied = topic.partitions.some(({ copying = [] }) => copying.length > 0)
  const isMoving = topic.partitions.some(({ adding }) => adding !== undefined)
  const partitions = topic.partitions.map(p => [
    p.partition,
    p.leader ?? 'none',
    p.replicas.join(','),
    p.isr.join(','),
    ...(isMoving ? [movingText(p)] : []),
    p.log_start_offset ?? '-',
    p.high_watermark ?? '-',
    p.size_bytes === null ? '-' : bytes(p.size_bytes),
    ...(isCopied ? [copyingText(p)] : []),
  ])
  const settings = Object.entries(topic.config).filter(([, { source }]) => all || source !== 'default')
  return [
    `${topic.name} (${topic.topic_id}), ${plural(topic.partitions.length, 'partition')}\n\n`,
    table([
      [
        'PARTITION',
        'LEADER',
        'REPLICAS',
        'IN SYNC',
        ...(isMoving ? ['MOVING'] : []),
        'START',
        'END',
        'SIZE',
        ...(isCopied ? ['COPYING'] : []),
      ],
      ...partitions,
    ]),
    ...topic.partitions.flatMap(p =>
      p.offline === undefined
        ? []
        : [
            `\npartition ${p.partition} is offline: ${p.offline}\n${p.todo === undefined ? '' : `  ${asSaidHere(p.todo)}\n`}`,
          ],
    ),
    settings.length === 0 ? '' : `\n${settingsTable(settings)}`,
  ].join('')
}

/** A command is pasted where it stands. */
const asSaidHere = (todo: string): string => todo.replaceAll(': stele ', `: ${command} `)

/** `+3 -0`: 3 is new, and 0 goes when it is in sync. */
const movingText = ({ adding = [], removing = [] }: TopicDescription['partitions'][number]): string =>
  [...adding.map(id => `+${id}`), ...removing.map(id => `-${id}`)].join(' ') || '-'

/** `2: 45%, 1.20 GB left`: which replicas have how much of it. */
function copyingText({ copying = [], size_bytes: size }: TopicDescription['partitions'][number]): string {
  const parts = copying.map(({ broker, bytes_left: left }) => {
    const far = percentOf({ bytes: Math.max(size ?? 0, left), bytesLeft: left })
    return `${broker}: ${far}%, ${bytes(left)} left`
  })
  return parts.join('; ') || '-'
}

const settingsTable = (settings: readonly [string, { value: string; source: string }][]): string =>
  table([['SETTING', 'VALUE', 'FROM'], ...settings.map(([name, { value, source }]) => [name, value, source])])
