// How fast does a broker take batches, and what does each cost it? Beside it what this disk takes from a bare loop.
import { bareWrites } from './bare.ts'
import { Broker } from './broker.ts'
import { Load, type ProduceSpec } from './load.ts'
import { askInRounds, optionsOf, sample, type Options, type Question } from './measuring.ts'

const KiB = 1024

type Case = Pick<ProduceSpec, 'batchBytes' | 'acks' | 'connections' | 'inFlight'> & {
  readonly name: string
  readonly flush: 'os' | 'fsync'
}

const cases: readonly Case[] = [
  { name: '1 record, 1 in flight', batchBytes: 'record', acks: 1, flush: 'os' },
  { name: '1 record, 64 in flight', batchBytes: 'record', acks: 1, inFlight: 64, flush: 'os' },
  { name: '16 KiB', batchBytes: 16 * KiB, acks: 1, inFlight: 5, flush: 'os' },
  { name: '64 KiB', batchBytes: 64 * KiB, acks: 1, inFlight: 5, flush: 'os' },
  { name: '128 KiB', batchBytes: 128 * KiB, acks: 1, inFlight: 5, flush: 'os' },
  { name: '1 MiB', batchBytes: 1024 * KiB, acks: 1, inFlight: 5, flush: 'os' },
  { name: '32 connections, 1 record', batchBytes: 'record', acks: 1, connections: 32, flush: 'os' },
  { name: '32 connections, 16 KiB', batchBytes: 16 * KiB, acks: 1, connections: 32, flush: 'os' },
  {
    name: '32 connections, 16 KiB, 5 in flight',
    batchBytes: 16 * KiB,
    acks: 1,
    connections: 32,
    inFlight: 5,
    flush: 'os',
  },
  { name: '1 record, acks=all on disk', batchBytes: 'record', acks: -1, flush: 'fsync' },
  {
    name: '1 record, 64 in flight, acks=all on disk',
    batchBytes: 'record',
    acks: -1,
    inFlight: 64,
    flush: 'fsync',
  },
  { name: '16 KiB, acks=all on disk', batchBytes: 16 * KiB, acks: -1, inFlight: 5, flush: 'fsync' },
  { name: '1 MiB, acks=all on disk', batchBytes: 1024 * KiB, acks: -1, inFlight: 5, flush: 'fsync' },
  {
    name: '32 connections, 16 KiB, 5 in flight, acks=all on disk',
    batchBytes: 16 * KiB,
    acks: -1,
    connections: 32,
    inFlight: 5,
    flush: 'fsync',
  },
]

/** Records are 100 B when alone and 1,000 B in batches; 32 connections write to eight partitions, one connection to one. */
export async function produceBench({ rounds, seconds }: Options): Promise<void> {
  const broker = await Broker.start({ settings: { 'log.segment.delete.delay.ms': '0' } })
  try {
    let topics = 0
    const questions = cases.map(({ name, flush, ...load }): Question => ({
      name,
      ask: async () => {
        const topic = `produce-${topics++}`
        const partitions = Math.min(8, load.connections ?? 1)
        await broker.createTopic(topic, { partitions, config: { 'stele.flush': flush } })
        const clients = await Load.start(broker, [{ kind: 'produce', topic, partitions, ...load }])
        const taken = await sample(broker, clients, seconds)
        await clients.stop()
        await broker.deleteTopic(topic)
        return taken
      },
    }))
    await askInRounds('Produce', questions, rounds)
  } finally {
    await broker.stop()
  }
  await bareWrites({ rounds, seconds })
}

if (import.meta.main) await produceBench(optionsOf())
