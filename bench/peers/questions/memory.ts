// How much memory is resident: a while after the start, and under load?
import { setTimeout as passed } from 'node:timers/promises'
import { newDirectory, removeDirectory } from '../directories.ts'
import type { Peer, RunningPeer } from '../peer.ts'
import type { Figures, Question } from '../rounds.ts'

const KiB = 1024
const everyMs = 100
const topic = 'memory'

export const memory: Question = {
  name: 'memory',
  title: 'Resident memory',
  about:
    'Of all processes of a server: the most within some seconds after its start with an empty disk, and the most while one producer writes 1 KiB records in batches of 16 KiB as fast as it goes and one ' +
    'consumer then reads them all, with the tools of the other questions.',
  cases: ({ quick }) => [
    {
      name: 'one node',
      figures: {
        idle: { unit: 'MB', better: 'less', wanted: 0.25 },
        loaded: { unit: 'MB', better: 'less', wanted: 0.3 },
      },
      ask: peer =>
        resident(peer, quick ? { seconds: 1, records: 20_000 } : { seconds: 5, records: 1_500_000 }),
    },
  ],
}

async function resident(
  peer: Peer,
  { seconds, records }: { seconds: number; records: number },
): Promise<Figures> {
  const data = newDirectory()
  try {
    const running = await peer.start({ durability: 'os', data })
    try {
      const idle = await mostResident(running, passed(seconds * 1000))
      return { idle: idle / 1e6, loaded: (await mostResident(running, loaded(running, records))) / 1e6 }
    } finally {
      await running.server.stop()
    }
  } finally {
    removeDirectory(data)
  }
}

async function loaded(running: RunningPeer, records: number): Promise<void> {
  await running.createTopic(topic)
  await running.produce({ topic, recordBytes: KiB, records, acks: 'all', batchBytes: 16 * KiB })
  await running.consume({ topic, recordBytes: KiB, records })
}

async function mostResident({ server }: RunningPeer, meanwhile: Promise<void>): Promise<number> {
  let most = 0
  const timer = setInterval(() => (most = Math.max(most, server.residentBytes())), everyMs)
  try {
    await meanwhile
  } finally {
    clearInterval(timer)
  }
  return most
}
