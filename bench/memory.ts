// How much memory does a broker have resident: after its start, and with 64 clients at full speed? Below 100 MB and 300 MB are promised.
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

/** 64 clients: 32 write and 32 read answers of 1 MiB, half of them the newest records and half what was written long ago. */
const clients: readonly (ProduceSpec | FetchSpec)[] = [
  { kind: 'produce', ...small, acks: -1, connections: 16, inFlight: 5 },
  { kind: 'produce', ...large, acks: -1, connections: 16, inFlight: 5 },
  { kind: 'fetch', ...small, connections: 8, bytesMax: MiB, offsets: [0, 'end'] },
  { kind: 'fetch', ...large, connections: 8, bytesMax: MiB, offsets: [0, 'end'] },
  { kind: 'fetch', ...old, connections: 16, bytesMax: MiB },
]

export async function memoryBench(seconds: number): Promise<void> {
  const broker = await Broker.start({ settings })
  try {
    const idleBytes = await mostResident(broker, 1)
    await broker.createTopic(small.topic, { partitions: small.partitions })
    await broker.createTopic(large.topic, { partitions: large.partitions })
    await broker.createTopic(old.topic, { config: { 'retention.bytes': '-1' } })
    await fill(broker, old.topic, old.batchBytes, oldBytes)
    const load = await Load.start(broker, clients)
    const moved = load.measure({ seconds })
    const loadedBytes = await mostResident(broker, seconds)
    const { bytes } = await moved
    await load.stop()
    const afterBytes = await mostResident(broker, 1)
    heading('Resident memory')
    table(
      ['', 'MB', 'promised'],
      [
        ['idle', shown(idleBytes / 1e6), verdict(idleBytes, idlePromisedBytes)],
        [
          `64 clients, ${shown(bytes / seconds / 1e6)} MB/s for ${seconds} s`,
          shown(loadedBytes / 1e6),
          verdict(loadedBytes, loadedPromisedBytes),
        ],
        ['the clients gone', shown(afterBytes / 1e6), ''],
      ],
    )
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

if (import.meta.main) await memoryBench(optionsOf().seconds * 20)
