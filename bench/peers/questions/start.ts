// How long from the start of a server until it answers a client: with nothing on its disk, and with a long log?
import { newDirectory, removeDirectory } from '../directories.ts'
import { NotAsked, type Peer } from '../peer.ts'
import type { Case, Question } from '../rounds.ts'

const KiB = 1024
const topic = 'long'
const longBytes = 10 * KiB ** 3

const withoutLongLogs: Readonly<Record<string, string>> = {
  Redis: 'it holds everything in memory',
  RabbitMQ: 'PerfTest would take an hour to write so much',
}

const figures = { start: { unit: 'ms', better: 'less', wanted: 0.15 } } as const

/** Filled once for each peer, and started from again and again. */
const long = new Map<Peer, string>()

export const start: Question = {
  name: 'start',
  title: 'Start to first answer',
  about:
    'From the first process to the first answer in its own protocol; with a long log to the first record of it (NATS: until it says that the stream holds some). Servers were stopped in the clean way before.',
  cases: extent => [
    {
      name: 'nothing on the disk',
      figures,
      ask: async peer => {
        const data = newDirectory()
        try {
          return { start: await startMs(peer, data) }
        } finally {
          removeDirectory(data)
        }
      },
    },
    ...(extent.long ? [withLongLog] : []),
  ],
  end: () => {
    for (const data of long.values()) removeDirectory(data)
    long.clear()
  },
}

const withLongLog: Case = {
  name: '10 GiB in one topic',
  figures,
  ask: async peer => {
    const reason = withoutLongLogs[peer.name]
    if (reason !== undefined) throw new NotAsked(reason)
    const data = long.get(peer) ?? (await filled(peer))
    return { start: await startMs(peer, data, topic) }
  },
}

async function startMs(peer: Peer, data: string, topic?: string): Promise<number> {
  const { server } = await peer.start({ durability: 'os', data, ...(topic === undefined ? {} : { topic }) })
  await server.stop()
  return server.startMs
}

async function filled(peer: Peer): Promise<string> {
  const data = newDirectory()
  long.set(peer, data)
  const running = await peer.start({ durability: 'os', data })
  try {
    await running.createTopic(topic)
    const records = longBytes / KiB
    await running.produce({ topic, recordBytes: KiB, records, acks: 'all', batchBytes: 128 * KiB })
  } finally {
    await running.server.stop()
  }
  return data
}
