/** Rounds, medians and the table they are printed in. Sizes and rates are decimal: 1 MB is 1,000,000 bytes. */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { brokerMeasured, type Broker } from './broker.ts'
import type { Load, Window } from './load.ts'

export type Options = {
  /** How often each question is asked; every round asks all of them, so that a slow minute of the machine meets all alike. */
  readonly rounds: number
  /** How long each is measured in each round. */
  readonly seconds: number
}

/** `--rounds` and `--seconds` of the command line. */
export function optionsOf(defaults: { readonly rounds?: string; readonly seconds?: string } = {}): Options {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: defaults.rounds ?? '3' },
      seconds: { type: 'string', default: defaults.seconds ?? '1' },
    },
  })
  return { rounds: Number(values.rounds), seconds: Number(values.seconds) }
}

/** One round of one question. */
export type Sample = {
  readonly requestsPerSecond: number
  readonly bytesPerSecond: number
  /** Of the broker alone. */
  readonly cpuSeconds: number
  readonly requests: number
  readonly bytes: number
}

/** Nobody needs more than this for a rate, and whoever shares the disk is glad. */
const bytesMax = 512e6

/** Lets a load that has begun get going, then measures it. */
export async function sample(broker: Broker, load: Load, seconds: number): Promise<Sample> {
  await load.measure({ seconds: seconds / 4, bytesMax: bytesMax / 4 })
  const window: Window = { seconds, bytesMax }
  const cpuBefore = broker.cpuSeconds()
  const measured = await load.measure(window)
  return {
    requestsPerSecond: measured.requests / measured.seconds,
    bytesPerSecond: measured.bytes / measured.seconds,
    cpuSeconds: broker.cpuSeconds() - cpuBefore,
    requests: measured.requests,
    bytes: measured.bytes,
  }
}

export type Question = { readonly name: string; readonly ask: () => Promise<Sample> }

/** Asks every question `rounds` times in turn, and prints a row for each: medians, and the rate's least and greatest. */
export async function askInRounds(
  title: string,
  questions: readonly Question[],
  rounds: number,
): Promise<void> {
  const samples = new Map<string, Sample[]>(questions.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const { name, ask } of questions) samples.get(name)?.push(await ask())
  }
  heading(title)
  const columns = ['requests/s', 'MB/s', 'min-max', 'µs CPU/request', 'CPU-s/GB']
  const rows = [...samples].map(([name, of]) => [
    name,
    shown(median(of.map(({ requestsPerSecond }) => requestsPerSecond))),
    shown(median(of.map(({ bytesPerSecond }) => bytesPerSecond / 1e6))),
    spread(of.map(({ bytesPerSecond }) => bytesPerSecond / 1e6)),
    shown(median(of.map(({ cpuSeconds, requests }) => (cpuSeconds / requests) * 1e6))),
    shown(median(of.map(({ cpuSeconds, bytes }) => cpuSeconds / (bytes / 1e9)))),
  ])
  table(['', ...columns], rows)
}

export const heading = (title: string): void =>
  print(`\n## ${title}\n\n${cpus().length} cores, Node ${process.versions.node}, broker: ${brokerMeasured}\n`)

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map(row => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join(' | ')} |`
  print(line(head))
  print(
    `|${widths.map((width, n) => (n === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`,
  )
  for (const row of rows) print(line(row))
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return ((sorted[(sorted.length - 1) >> 1] ?? NaN) + (sorted[sorted.length >> 1] ?? NaN)) / 2
}

export const spread = (values: readonly number[]): string =>
  `${shown(Math.min(...values))}-${shown(Math.max(...values))}`

/** Three figures that count. */
export const shown = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(3)).toString()

export const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** For JSON: no fractions of milliseconds. */
export const rounded = (value: unknown): unknown => (typeof value === 'number' ? Math.round(value) : value)
