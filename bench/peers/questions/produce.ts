// How fast does a log take records from one producer, and what does each gigabyte cost it?
import type { Durability, ProduceLoad, RunningPeer } from '../peer.ts'
import type { Case, Extent, Question } from '../rounds.ts'
import { withCost } from './cost.ts'

const KiB = 1024
const bytesOf: Record<Durability, number> = { os: 600e6, fsync: 300e6 }

type Kind = Pick<ProduceLoad, 'acks' | 'recordBytes' | 'batchBytes'> & { readonly durability: Durability }

const promises = [
  { durability: 'os', acks: '1' },
  { durability: 'os', acks: 'all' },
  { durability: 'fsync', acks: 'all' },
] as const

const all: readonly Kind[] = promises.flatMap(promise =>
  [100, KiB].flatMap(recordBytes =>
    [16 * KiB, 128 * KiB].map(batchBytes => ({ ...promise, recordBytes, batchBytes })),
  ),
)
const few: readonly Kind[] = promises
  .slice(1)
  .map(promise => ({ ...promise, recordBytes: KiB, batchBytes: 16 * KiB }))

const figures = {
  'MB/s': { unit: '', better: 'more', wanted: 1.15 },
  'server CPU': { unit: 's/GB', better: 'less', wanted: 0.5 },
} as const

let topics = 0

export const produce: Question = {
  name: 'produce',
  title: 'Produce',
  about:
    'One producer, one partition, as fast as it goes. Kafka and Stele: ProducerPerformance of Kafka; NATS: `nats bench js pub`; Redis: `redis-benchmark` with XADD; these have ' +
    'as many records in flight as fit into the batch. On the disk: `stele.flush=fsync`, `flush.messages=1`, `sync_interval: always`, `appendfsync always`.',
  cases: extent => (extent.quick ? few : all).map(kind => caseOf(kind, extent)),
}

function caseOf({ durability, ...kind }: Kind, { quick }: Extent): Case {
  const { acks, recordBytes, batchBytes } = kind
  const bytes = bytesOf[durability] / (quick ? 30 : 1)
  const records = Math.floor(bytes / Math.max(recordBytes, 200))
  return {
    name: `${recordBytes} B, batches of ${batchBytes / KiB} KiB, acks=${acks}${durability === 'fsync' ? ', on the disk' : ''}`,
    figures,
    durability,
    ask: running => measured(running, { ...kind, records, topic: `produce-${topics++}` }),
  }
}

async function measured(running: RunningPeer, load: ProduceLoad): Promise<Record<string, number>> {
  await running.createTopic(load.topic)
  const { answer, cpuPerGigabyte } = await withCost(running, load.records * load.recordBytes, () =>
    running.produce(load),
  )
  await running.deleteTopic(load.topic)
  return { 'MB/s': (answer.recordsPerSecond * load.recordBytes) / 1e6, 'server CPU': cpuPerGigabyte }
}
