// How fast do Kafka and Stele hand out what they have to a client that costs little, and what does it cost them? From the page cache, 16 KiB batches.
import { sideBySide, type Case } from './generator/side-by-side.ts'

const KiB = 1024
const MiB = 1024 * KiB

const one = { kind: 'fetch', counts: 'bytes', atLeast: 1.6, cpuAtMost: 1 } as const

const cases: readonly Case[] = [
  { ...one, name: 'fetch of 64 KiB', load: { 'max-bytes': 64 * KiB } },
  { ...one, name: 'fetch of 1 MiB', load: { 'max-bytes': MiB } },
]
const filled = { topic: 'filled', bytes: 512 * MiB, load: { value: 1000, batch: 16 * KiB, 'in-flight': 5 } }

if (import.meta.main) await sideBySide('Fetch beside Kafka', cases, filled)
