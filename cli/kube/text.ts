/** What people read: tables and sentences, in colour when somebody looks. Text of the cluster is never trusted by the terminal. */
import { styleText } from 'node:util'
import { percentOf } from '../../control/copied.ts'
import type { CopyProgress } from '../../control/kubernetes/copy-report.ts'
import type { Condition } from '../../control/kubernetes/resources/condition.ts'
import { bytes, duration, plural, table } from '../format.ts'
import { printable } from '../printable.ts'
import type { BrokerRow } from './brokers.ts'
import { type ClusterSummary, tabletsText } from './status.ts'
import { stateText, type TabletRow } from './tablets.ts'

export type Look = { readonly wide: boolean; readonly colours: boolean }
type Mood = 'good' | 'bad' | 'uneasy' | 'plain'

const colours = { good: 'green', bad: 'red', uneasy: 'yellow' } as const

const paint = (text: string, mood: Mood, look: Look): string =>
  mood === 'plain' || !look.colours ? text : styleText(colours[mood], text, { validateStream: false })

/** A table whose rows show by their colour how they are. */
function moody(rows: readonly (readonly (string | number)[])[], moods: readonly Mood[], look: Look): string {
  const lines = table(rows).trimEnd().split('\n')
  return (
    lines.map((line, row) => (row === 0 ? line : paint(line, moods[row - 1] ?? 'plain', look))).join('\n') +
    '\n'
  )
}

type Placed = { readonly namespace: string; readonly cluster: string }

/** The first columns: what is the same for all is not said. */
function places(rows: readonly Placed[]): { readonly heads: string[]; of(row: Placed): string[] } {
  const several = (name: keyof Placed): boolean => new Set(rows.map(row => row[name])).size > 1
  const names = (['namespace', 'cluster'] as const).filter(several)
  return { heads: names.map(name => name.toUpperCase()), of: row => names.map(name => row[name]) }
}

export function brokersText(rows: readonly BrokerRow[], look: Look): string {
  if (rows.length === 0) return 'there are no brokers yet\n'
  const place = places(rows)
  const some = rows.some(({ copying }) => copying !== undefined)
  const copies = (text: string): string[] => (some ? [text] : [])
  const heads = [
    ...place.heads,
    'BROKER',
    'ZONE',
    'POD',
    'PHASE',
    'READY',
    'LEADS',
    'HOLDS',
    'BYTES',
    'DISK',
    ...copies('COPIES'),
  ]
  const more = look.wide ? ['NODE', 'RESTARTS', 'INCARNATION', 'DISK ID', 'IMAGE'] : []
  const cells = rows.map(row => [
    ...place.of(row),
    row.id,
    row.zone ?? '-',
    row.pod,
    row.phase,
    row.ready ? 'yes' : 'no',
    row.leads,
    row.holds,
    bytesText(row),
    row.disk ?? '-',
    ...copies(row.copying === undefined ? '-' : copyingText(row.copying)),
    ...(look.wide
      ? [row.node ?? '-', row.restarts ?? '-', row.incarnation ?? '-', row.diskId ?? '-', row.image ?? '-']
      : []),
  ])
  const moods = rows.map(({ ready, phase }): Mood =>
    ready ? 'plain' : phase === 'Failed' ? 'bad' : 'uneasy',
  )
  const troubles = rows
    .filter(({ trouble }) => trouble !== undefined)
    .map(({ pod, trouble }) => printable(`${pod}: ${trouble}`))
  return (
    moody([[...heads, ...more], ...cells], moods, look) +
    troubles.map(line => `\n${line}`).join('') +
    (troubles.length > 0 ? '\n' : '')
  )
}

/** `2 tablets, 45% of 12.3 GB, 52.4 MB/s, 2:10 left`. */
function copyingText({ tablets, secondsLeft, ...far }: CopyProgress): string {
  const speed = far.bytesPerSecond > 0 ? [`${bytes(far.bytesPerSecond)}/s`] : []
  const left = secondsLeft === undefined ? [] : [`${duration(secondsLeft * 1_000)} left`]
  return [plural(tablets, 'tablet'), `${percentOf(far)}% of ${bytes(far.bytes)}`, ...speed, ...left].join(
    ', ',
  )
}

function bytesText({ bytes: held, full }: BrokerRow): string {
  if (held === undefined) return '-'
  return full === undefined ? bytes(held) : `${bytes(held)} (${Math.round(100 * full)}%)`
}

const stateMoods: Readonly<Record<TabletRow['state'], Mood>> = {
  well: 'plain',
  moving: 'plain',
  'under-replicated': 'uneasy',
  offline: 'bad',
}

export function tabletsTable(rows: readonly TabletRow[], look: Look): string {
  const place = places(rows)
  const heads = [...place.heads, 'TOPIC', 'TABLET', 'LEADER', 'REPLICAS', 'IN SYNC', 'BYTES', 'STATE']
  const cells = rows.map(row => [
    ...place.of(row),
    row.topic,
    row.tablet,
    String(row.leader ?? 'none'),
    row.replicas.join(','),
    row.isr.join(',') || 'none',
    row.bytes === undefined ? '-' : bytes(row.bytes),
    stateText(row),
    ...(look.wide ? [row.epoch] : []),
  ])
  const all = [[...heads, ...(look.wide ? ['EPOCH'] : [])], ...cells]
  const moods = rows.map(({ state }) => stateMoods[state])
  return moody(all, moods, look) + whysText(rows)
}

/** Why some are offline, each reason once. */
function whysText(rows: readonly TabletRow[]): string {
  const groups = Map.groupBy(
    rows.filter(({ why }) => why !== undefined),
    ({ cluster, why }) => `${cluster} ${why}`,
  )
  const lines = [...groups.values()].map(some => {
    const names = some.slice(0, namedMax).map(({ topic, tablet }) => `${topic}-${tablet}`)
    const more = some.length > namedMax ? ` and ${some.length - namedMax} more` : ''
    return printable(`${names.join(', ')}${more}: ${some[0]?.why}`)
  })
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`
}

const namedMax = 10

export const statusText = (clusters: readonly ClusterSummary[], look: Look): string =>
  clusters.map(cluster => clusterText(cluster, look)).join('\n')

function clusterText(cluster: ClusterSummary, look: Look): string {
  const { brokers, topics } = cluster
  const verdict = cluster.well ? paint('well', 'good', look) : paint('needs a look', 'uneasy', look)
  const facts: [string, string][] = [
    ['brokers', `${brokers.ready} of ${brokers.wanted} ready`],
    [
      'topics',
      `${plural(topics.total, 'topic')}${topics.notReady.length > 0 ? `, ${topics.notReady.length} not ready` : ''}`,
    ],
    ['tablets', tabletsText(cluster.tablets)],
    ...(cluster.copying === undefined
      ? []
      : [['copying', copyingText(cluster.copying)] satisfies [string, string]]),
    ['inside', cluster.bootstrap ?? 'no address yet'],
    ...(cluster.externalBootstrap === undefined
      ? []
      : [['outside', cluster.externalBootstrap] satisfies [string, string]]),
  ]
  return [
    `${printable(cluster.name)} in ${printable(cluster.namespace)}: ${verdict}\n\n`,
    table(facts).replaceAll(/^/gm, '  ').trimEnd(),
    '\n\n',
    conditionsText(cluster.conditions, look),
    todoText(cluster.todo),
  ].join('')
}

/** Available is good when it holds, Degraded when it does not; Progressing is neither. */
function moodOf({ type, status }: Condition): Mood {
  if (type === 'Progressing') return 'plain'
  if (status === 'Unknown') return 'uneasy'
  return (status === 'True') === (type === 'Available') ? 'good' : 'bad'
}

const verbs: Readonly<Record<Condition['status'], string>> = { True: 'yes', False: 'no', Unknown: 'unknown' }

function conditionsText(conditions: readonly Condition[], look: Look): string {
  if (conditions.length === 0) return '  nobody has said anything about it yet\n'
  const rows = conditions.map(({ type, status, reason, message }) => [type, verbs[status], reason, message])
  const lines = table(rows).trimEnd().split('\n')
  return lines
    .map((line, row) => {
      const condition = conditions[row]
      return `  ${paint(line, condition === undefined ? 'plain' : moodOf(condition), look)}\n`
    })
    .join('')
}

const todoText = (todo: readonly string[]): string =>
  todo.length === 0 ? '' : `\nWhat to do\n${todo.map(line => `  ${printable(line)}\n`).join('')}`
