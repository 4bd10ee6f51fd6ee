// How fast does a broker hand out what it has, from the memory of the log's end and from the file, and what does it cost?
import { Broker } from './broker.ts'
import { batchUpTo } from './frames.ts'
import { fill, Load, type FetchSpec } from './load.ts'
import { askInRounds, optionsOf, sample, type Options, type Question } from './measuring.ts'

const KiB = 1024
const MiB = 1024 * KiB
const topic = 'filled'
const batchBytes = 16 * KiB
const filledBytes = 256 * MiB
/** What the log keeps in memory of its end is more than this. */
const tailBytes = MiB

type Case = {
  readonly name: string
  readonly bytesMax: number
  readonly place: 'tail' | 'file'
  readonly connections?: number
}

const cases: readonly Case[] = [
  { name: '64 KiB from memory', bytesMax: 64 * KiB, place: 'tail' },
  { name: '1 MiB from memory', bytesMax: MiB, place: 'tail' },
  { name: '64 KiB from the file', bytesMax: 64 * KiB, place: 'file' },
  { name: '1 MiB from the file', bytesMax: MiB, place: 'file' },
  { name: '32 connections, 64 KiB from memory', bytesMax: 64 * KiB, place: 'tail', connections: 32 },
  { name: '32 connections, 64 KiB from the file', bytesMax: 64 * KiB, place: 'file', connections: 32 },
]

/** The topic holds 256 MiB in batches of 16 KiB, all of it in the page cache; a connection asks for one answer after the other. */
export async function fetchBench({ rounds, seconds }: Options): Promise<void> {
  const broker = await Broker.start()
  try {
    await broker.createTopic(topic, { config: { 'stele.flush': 'os' } })
    const batches = await fill(broker, topic, batchBytes, filledBytes)
    const { records } = batchUpTo(batchBytes, 1000)
    const tailFrom = (batches - tailBytes / batchBytes) * records
    const places: Record<Case['place'], FetchSpec['offsets']> = {
      tail: [tailFrom, batches * records],
      file: [0, tailFrom],
    }
    const questions = cases.map(({ name, place, ...load }): Question => ({
      name,
      ask: async () => {
        const offsets = places[place]
        const clients = await Load.start(broker, [{ kind: 'fetch', topic, batchBytes, offsets, ...load }])
        const taken = await sample(broker, clients, seconds)
        await clients.stop()
        return taken
      },
    }))
    await askInRounds('Fetch', questions, rounds)
  } finally {
    await broker.stop()
  }
}

if (import.meta.main) await fetchBench(optionsOf())
