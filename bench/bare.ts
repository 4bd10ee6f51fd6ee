// What does the disk take from a loop that does nothing else? The distance between this and the broker is the broker's.
import { execFile } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { newDirectory } from './broker.ts'
import { compiled } from './generator/compile.ts'
import { heading, median, optionsOf, print, shown, spread, table, type Options } from './measuring.ts'

const KiB = 1024
const bytesMax = 512e6

type Case = {
  readonly name: string
  readonly bytes: number
  /** After so many writes an fdatasync. */
  readonly syncEvery: number
}

const cases: readonly Case[] = [
  { name: 'write of 200 B', bytes: 200, syncEvery: Infinity },
  { name: 'write of 16 KiB', bytes: 16 * KiB, syncEvery: Infinity },
  { name: 'write of 64 KiB', bytes: 64 * KiB, syncEvery: Infinity },
  { name: 'write of 1 MiB', bytes: 1024 * KiB, syncEvery: Infinity },
  { name: 'write of 200 B, fdatasync after each', bytes: 200, syncEvery: 1 },
  { name: 'write of 16 KiB, fdatasync after each', bytes: 16 * KiB, syncEvery: 1 },
  { name: 'write of 1 MiB, fdatasync after each', bytes: 1024 * KiB, syncEvery: 1 },
]

export async function bareWrites({ rounds, seconds }: Options): Promise<void> {
  const directory = newDirectory()
  const runs = new Map<string, Run[]>(cases.map(({ name }) => [name, []]))
  const inC = new Map<string, Run[]>(cases.map(({ name }) => [name, []]))
  const program = await compiled(join(import.meta.dirname, 'generator', 'bare.c')).catch(
    (error: Error) => error,
  )
  for (let round = 0; round < rounds; round++) {
    for (const each of cases) {
      runs.get(each.name)?.push(write(directory, each, seconds))
      if (typeof program === 'string')
        inC.get(each.name)?.push(await writeInC(program, directory, each, seconds))
    }
  }
  rmSync(directory, { recursive: true })
  heading('The disk, from a bare loop on one file')
  if (program instanceof Error) print(`Without the same in C: ${program.message}.\n`)
  const rows = cases.flatMap(each => [
    rowOf(each.name, each, runs.get(each.name) ?? []),
    ...(program instanceof Error ? [] : [rowOf(`${each.name}, in C`, each, inC.get(each.name) ?? [])]),
  ])
  table(['', 'writes/s', 'MB/s', 'min-max', 'µs CPU/write', 'CPU-s/GB'], rows)
}

function rowOf(title: string, { bytes }: Case, of: readonly Run[]): string[] {
  const megabytes = of.map(({ writesPerSecond }) => (writesPerSecond * bytes) / 1e6)
  const cpu = of.map(({ cpuSecondsPerWrite }) => cpuSecondsPerWrite)
  return [
    title,
    shown(median(of.map(({ writesPerSecond }) => writesPerSecond))),
    shown(median(megabytes)),
    spread(megabytes),
    shown(median(cpu) * 1e6),
    shown(median(cpu) / (bytes / 1e9)),
  ]
}

type Run = { readonly writesPerSecond: number; readonly cpuSecondsPerWrite: number }

async function writeInC(
  program: string,
  directory: string,
  { bytes, syncEvery }: Case,
  seconds: number,
): Promise<Run> {
  const every = Number.isFinite(syncEvery) ? syncEvery : 0
  const words = [join(directory, 'written'), bytes, every, seconds, bytesMax].map(String)
  const { stdout } = await promisify(execFile)(program, words)
  const told = JSON.parse(stdout) as { writes: number; seconds: number; cpuSeconds: number }
  return { writesPerSecond: told.writes / told.seconds, cpuSecondsPerWrite: told.cpuSeconds / told.writes }
}

function write(directory: string, { bytes, syncEvery }: Case, seconds: number): Run {
  const path = join(directory, 'written')
  const file = openSync(path, 'wx')
  const piece = Buffer.alloc(bytes, 'x')
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  let writes = 0
  let passedSeconds = 0
  while (passedSeconds < seconds && writes * bytes < bytesMax) {
    writeSync(file, piece)
    writes += 1
    if (writes % syncEvery === 0) fdatasyncSync(file)
    passedSeconds = (performance.now() - startMs) / 1000
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  closeSync(file)
  rmSync(path)
  return { writesPerSecond: writes / passedSeconds, cpuSecondsPerWrite: (user + system) / 1e6 / writes }
}

if (import.meta.main) await bareWrites(optionsOf())
