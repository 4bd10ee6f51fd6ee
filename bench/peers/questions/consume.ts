// How fast does a log hand out what was written lately, and what does each gigabyte cost it?
import type { Case, Question } from '../rounds.ts'
import { withCost } from './cost.ts'

const KiB = 1024

const figures = {
  'MB/s': { unit: '', better: 'more', wanted: 1 },
  'server CPU': { unit: 's/GB', better: 'less' },
} as const

export const consume: Question = {
  name: 'consume',
  title: 'Consume',
  about:
    'One consumer reads one partition from its start, all of it in the page cache, written in batches of 16 KiB. Kafka and Stele: ConsumerPerformance of Kafka (what it takes to join ' +
    'its group does not count); NATS: `nats bench js ordered`; Redis: `redis-benchmark` with XREAD of the first records, again and again.',
  cases: ({ quick }) =>
    (quick ? [KiB] : [100, KiB]).map((recordBytes): Case => {
      const records = Math.floor((quick ? 20e6 : 600e6) / Math.max(recordBytes, 200))
      const topic = `consume-${recordBytes}`
      return {
        name: `${recordBytes} B`,
        figures,
        durability: 'os',
        before: async running => {
          await running.createTopic(topic)
          await running.produce({ topic, recordBytes, records, acks: 'all', batchBytes: 16 * KiB })
        },
        ask: async running => {
          const { answer, cpuPerGigabyte } = await withCost(running, records * recordBytes, () =>
            running.consume({ topic, recordBytes, records }),
          )
          return { 'MB/s': (answer.recordsPerSecond * recordBytes) / 1e6, 'server CPU': cpuPerGigabyte }
        },
      }
    }),
}
