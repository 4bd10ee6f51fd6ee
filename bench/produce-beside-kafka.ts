// How fast do Kafka and Stele take batches from a client that costs little, and what does each cost them? acks=1 and page cache, Kafka's usual promise.
import { sideBySide, type Case } from './generator/side-by-side.ts'

const KiB = 1024
const value = 1000
const many = { connections: 32, partitions: 8 }

const one = { kind: 'produce', counts: 'bytes' } as const

const cases: readonly Case[] = [
  { ...one, name: '16 KiB', load: { value, batch: 16 * KiB }, atLeast: 4, cpuAtMost: 0.25 },
  {
    ...one,
    name: '16 KiB, 5 in flight',
    load: { value, batch: 16 * KiB, 'in-flight': 5 },
    atLeast: 4,
    cpuAtMost: 0.25,
  },
  { ...one, name: '64 KiB', load: { value, batch: 64 * KiB, 'in-flight': 5 }, atLeast: 1.7, cpuAtMost: 0.5 },
  {
    ...one,
    name: '128 KiB',
    load: { value, batch: 128 * KiB, 'in-flight': 5 },
    atLeast: 1.7,
    cpuAtMost: 0.5,
  },
  { ...one, name: '1 MiB', load: { value, batch: 1024 * KiB, 'in-flight': 5 }, atLeast: 1, cpuAtMost: 0.9 },
  {
    ...one,
    name: '32 connections, 16 KiB, 5 in flight',
    load: { ...many, value, batch: 16 * KiB, 'in-flight': 5 },
    atLeast: 1.3,
    cpuAtMost: 0.6,
  },
  { ...one, name: 'one record', counts: 'requests', load: {}, atLeast: 1.1 },
  { ...one, name: 'one record, 64 in flight', counts: 'requests', load: { 'in-flight': 64 }, atLeast: 8 },
  { ...one, name: '32 connections, one record', counts: 'requests', load: many, atLeast: 1.3 },
]

if (import.meta.main) await sideBySide('Produce beside Kafka', cases)
