// How long does a producer wait for acks=all when the log has less to do than it could?
import type { Durability } from '../peer.ts'
import type { Case, Figure, Question } from '../rounds.ts'

const KiB = 1024
const paces = [
  { perSecond: 5_000, recordBytes: KiB },
  { perSecond: 20_000, recordBytes: KiB },
  { perSecond: 50_000, recordBytes: 100 },
]

const figures: Record<string, Figure> = {
  p50: { unit: 'ms', better: 'less' },
  p99: { unit: 'ms', better: 'less', wanted: 0.5 },
  'p99.9': { unit: 'ms', better: 'less', wanted: 0.5 },
  'pace kept': { unit: '%', better: 'more' },
  'server CPU': { unit: '% of a core', better: 'less' },
}

let topics = 0

export const latency: Question = {
  name: 'latency',
  title: 'Latency at a steady pace',
  about:
    "ProducerPerformance of Kafka with `--throughput`, acks=all, linger.ms=0 and batches of at most 16 KiB, for 20 s of which the first 5 do not count. It tells whole milliseconds. No other peer's tool " +
    'sends at a steady pace and tells percentiles.',
  cases: ({ quick }) =>
    (quick ? (['os'] as const) : (['os', 'fsync'] as const)).flatMap(durability =>
      paces.slice(0, quick ? 1 : 3).map(({ perSecond, recordBytes }): Case => {
        const [warmUpSeconds, seconds] = quick ? [1, 1] : [5, 15]
        return {
          name: nameOf(perSecond, recordBytes, durability),
          figures,
          durability,
          ask: async running => {
            const topic = `latency-${topics++}`
            await running.createTopic(topic)
            const before = running.server.cpuSeconds()
            const { latencies, recordsPerSecond } = await running.produce({
              topic,
              recordBytes,
              perSecond,
              acks: 'all',
              batchBytes: 16 * KiB,
              records: perSecond * (warmUpSeconds + seconds),
              warmUpRecords: perSecond * warmUpSeconds,
            })
            const cpuSeconds = running.server.cpuSeconds() - before
            await running.deleteTopic(topic)
            if (latencies === undefined) throw new Error('its tool tells no latencies')
            const { p50, p99, p999 } = latencies
            const pace = (recordsPerSecond / perSecond) * 100
            const cpu = (cpuSeconds / (warmUpSeconds + seconds)) * 100
            return { p50, p99, 'p99.9': p999, 'pace kept': pace, 'server CPU': cpu }
          },
        }
      }),
    ),
}

const nameOf = (perSecond: number, recordBytes: number, durability: Durability): string =>
  `${perSecond.toLocaleString('en')}/s of ${recordBytes} B${durability === 'fsync' ? ', on the disk' : ''}`
