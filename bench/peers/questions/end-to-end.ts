// How long from a producer to a consumer that waits, when nothing else is on its way?
import type { Case, Question } from '../rounds.ts'

const figures = {
  mean: { unit: 'ms', better: 'less' },
  p50: { unit: 'ms', better: 'less' },
  p99: { unit: 'ms', better: 'less' },
  'p99.9': { unit: 'ms', better: 'less' },
} as const

let topics = 0

export const endToEnd: Question = {
  name: 'end-to-end',
  title: 'From producer to consumer',
  about:
    'EndToEndLatency of Kafka: sends one record with acks=all, waits until it is received, and sends the next. Percentiles are whole milliseconds. The tool of no other peer asks this.',
  cases: ({ quick }) =>
    (quick ? (['os'] as const) : (['os', 'fsync'] as const)).map((durability): Case => ({
      name: `100 B${durability === 'fsync' ? ', on the disk' : ''}`,
      figures,
      durability,
      ask: async running => {
        const topic = `end-to-end-${topics++}`
        await running.createTopic(topic)
        const load = { topic, recordBytes: 100, records: quick ? 500 : 10_000, acks: 'all' } as const
        const { mean, p50, p99, p999 } = await running.roundTrips(load)
        await running.deleteTopic(topic)
        return { mean, p50, p99, 'p99.9': p999 }
      },
    })),
}
