// How much memory does a broker have resident: after its start, and with 64 clients at full speed? Below 100 MB and 300 MB are
// promised. Which 64 clients matters: those that only write megabytes and those that only read them are asked as well.
import { setTimeout as passed } from 'node:timers/promises'
import { Broker } from './broker.ts'
import { batchUpTo } from './frames.ts'
import { fill, Load, type FetchSpec, type ProduceSpec } from './load.ts'
import { heading, optionsOf, shown, table } from './measuring.ts'

const KiB = 1024
const MiB = 1024 * KiB
const idlePromisedBytes = 100e6
const loadedPromisedBytes = 300e6
const everyMs = 50

// What was written is dropped again soon, so that the disk does not fill.
const settings = {
  'log.segment.bytes': String(64 * MiB),
  'log.retention.bytes': String(128 * MiB),
  'log.retention.check.interval.ms': '1000',
  'log.segment.delete.delay.ms': '0',
  'stele.flush': 'os',
}
const oldBytes = 256 * MiB
const small = { topic: 'small', partitions: 4, batchBytes: 16 * KiB } as const
const large = { topic: 'large', partitions: 4, batchBytes: MiB } as const
const oldRecords = (oldBytes / MiB) * batchUpTo(MiB, 1000).records
const old = { topic: 'old', batchBytes: MiB, offsets: [0, oldRecords] } as const

type Spec = ProduceSpec | FetchSpec

/** In `mixed` half of the clients write; half of the others read the newest records, and the rest what was written long ago. */
const crowds: Readonly<Record<string, readonly Spec[]>> = {
  mixed: [
    { kind: 'produce', ...small, acks: -1, connections: 16, inFlight: 5 },
    { kind: 'produce', ...large, acks: -1, connections: 16, inFlight: 5 },
    { kind: 'fetch', ...small, connections: 8, bytesMax: MiB, offsets: [0, 'end'] },
    { kind: 'fetch', ...large, connections: 8, bytesMax: MiB, offsets: [0, 'end'] },
    { kind: 'fetch', ...old, connections: 16, bytesMax: MiB },
  ],
  'all writing 1 MiB': [{ kind: 'produce', ...large, acks: -1, connections: 64, inFlight: 5 }],
  'all reading 1 MiB': [{ kind: 'fetch', ...old, connections: 64, bytesMax: MiB }],
}

/** Each crowd has a broker of its own and `seconds`. */
export async function memoryBench(seconds: number): Promise<void> {
  const idle: number[] = []
  const rows: string[][] = []
  for (const [name, specs] of Object.entries(crowds)) {
    const { idleBytes, loadedBytes, bytesPerSecond } = await resident(specs, seconds)
    idle.push(idleBytes)
    const crowd = `64 clients, ${name}, ${shown(bytesPerSecond / 1e6)} MB/s`
    rows.push([crowd, shown(loadedBytes / 1e6), verdict(loadedBytes, loadedPromisedBytes)])
  }
  heading(`Resident memory, the most in ${seconds} s`)
  const idleBytes = Math.max(...idle)
  table(
    ['', 'MB', 'promised'],
    [['idle', shown(idleBytes / 1e6), verdict(idleBytes, idlePromisedBytes)], ...rows],
  )
}

async function resident(
  specs: readonly Spec[],
  seconds: number,
): Promise<{ idleBytes: number; loadedBytes: number; bytesPerSecond: number }> {
  const broker = await Broker.start({ settings })
  try {
    const idleBytes = await mostResident(broker, 1)
    for (const { topic, partitions } of [small, large]) await broker.createTopic(topic, { partitions })
    await broker.createTopic(old.topic, { config: { 'retention.bytes': '-1' } })
    await fill(broker, old.topic, old.batchBytes, oldBytes)
    const load = await Load.start(broker, specs)
    const moved = load.measure({ seconds })
    const loadedBytes = await mostResident(broker, seconds)
    const { bytes } = await moved
    await load.stop()
    return { idleBytes, loadedBytes, bytesPerSecond: bytes / seconds }
  } finally {
    await broker.stop()
  }
}

async function mostResident(broker: Broker, seconds: number): Promise<number> {
  const endMs = performance.now() + seconds * 1000
  let most = 0
  while (performance.now() < endMs) {
    most = Math.max(most, broker.residentBytes())
    await passed(everyMs)
  }
  return most
}

const verdict = (bytes: number, promisedBytes: number): string =>
  `${bytes < promisedBytes ? 'kept' : 'BROKEN'}: below ${promisedBytes / 1e6}`

if (import.meta.main) await memoryBench(optionsOf({ seconds: '20' }).seconds)
