/** From a name, as people write it, to its row: at the level of a topic or of the broker. Unknown names get the nearest one. */
import { distance } from 'fastest-levenshtein'
import { Refusal } from '../../base/refusals.ts'
import { brokerRows, notHere, topicRows } from './definitions.ts'
import type { Alias, Row } from './definitions.ts'
import { integerOf } from './values.ts'
import type { Read } from './values.ts'

export type Level = 'topic' | 'broker'

/** A name and what it stands for; `alias` when it is not the row's own name. */
export type Named = {
  readonly name: string
  readonly row: Row
  readonly alias?: Alias
  readonly dynamic: boolean
}

const byName: Readonly<Record<Level, ReadonlyMap<string, Named>>> = {
  topic: new Map(
    Object.values(topicRows).map(row => {
      const name = nameOf('topic', row)
      return [name, { name, row, dynamic: true }]
    }),
  ),
  broker: new Map([...namedOf(topicRows, true), ...namedOf(brokerRows, false)]),
}

/** A row has the name of its level, or, where it has none there, that of the other. */
export function nameOf(level: Level, { topic, broker }: Row): string {
  return (level === 'topic' ? topic : broker) ?? topic ?? broker ?? ''
}

function namedOf(rows: Readonly<Record<string, Row>>, dynamic: boolean): [string, Named][] {
  return Object.values(rows).flatMap((row): [string, Named][] => [
    ...(row.broker === undefined
      ? []
      : [
          [row.broker, { name: row.broker, row, dynamic: dynamic || row.whileRunning === true }] satisfies [
            string,
            Named,
          ],
        ]),
    ...row.aliases.map((alias): [string, Named] => [
      alias.name,
      { name: alias.name, row, alias, dynamic: false },
    ]),
  ])
}

/** @throws Refusal INVALID_CONFIG when `level` has no such setting, with what may have been meant */
export function named(level: Level, name: string): Named {
  const found = byName[level].get(name)
  if (found !== undefined) return found
  throw new Refusal('INVALID_CONFIG', unknownName(level, name))
}

function unknownName(level: Level, name: string): string {
  const why = notHere.get(name)
  if (why !== undefined) return `${name} is not a setting here: ${why}`
  const other: Level = level === 'topic' ? 'broker' : 'topic'
  const elsewhere = byName[other].get(name)
  const meant = level === 'topic' ? elsewhere?.row.topic : elsewhere?.row.broker
  if (elsewhere !== undefined) {
    const hint = meant === undefined ? '' : `; the ${level}'s is ${meant}`
    return `${name} is a setting of the ${other}, not of the ${level}${hint}`
  }
  const near = nearest(level, name)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  return `${JSON.stringify(shortened(name))} is not a setting of a ${level}${hint}`
}

/** The known name fewest letters away, unless more than half of it would have to change. */
function nearest(level: Level, name: string): string | undefined {
  const near = [...byName[level].keys()]
    .map(known => ({ known, away: distance(known, shortened(name).toLowerCase()) }))
    .sort((a, b) => a.away - b.away)[0]
  return near !== undefined && near.away <= near.known.length / 2 ? near.known : undefined
}

const shortened = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text)

/** What `text` means for the setting, in the row's own units whatever the name; the text too, as the row would have it. */
export function readValue({ row, alias }: Named, text: string): { text: string; read: Read<unknown> } {
  const own = alias === undefined ? text : scaled(text, alias.times)
  return { text: own, read: row.kind.read(own) }
}

/** -1 is "no limit" in every unit; what is no number is left for the row to refuse. */
function scaled(text: string, times: number): string {
  const number = integerOf(text)
  return number === undefined || number === -1n ? text : String(number * BigInt(times))
}

/**
 * The value that `text` gives the setting.
 * @throws Refusal INVALID_CONFIG: `segment.bytes must be a whole number of at least 14, not "abc"`
 */
export function valueOf(setting: Named, text: string): unknown {
  const { read } = readValue(setting, text)
  if ('value' in read) return read.value
  const because = read.because === undefined ? '' : `: ${read.because}`
  throw new Refusal(
    'INVALID_CONFIG',
    `${setting.name} must be ${read.allowed}, not ${JSON.stringify(shortened(text))}${because}`,
  )
}
