import { beforeAll, describe, expect, test } from 'vitest'
import { useBroker } from './broker.ts'
import { java } from './java.ts'
import { produce } from './kcat.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('kcat', 'java', 'mvn')
const broker = useBroker()

describe("Kafka's ConsumerPerformance", () => {
  const inPartition = 5000
  const group = freshTopic('group')
  let topic = ''
  beforeAll(async () => {
    topic = await createTopic(broker().kafka, 'consumer-performance', 4)
  })

  const fill = async (): Promise<void> => {
    for (const partition of [0, 1, 2, 3])
      await produce(broker().kafka, topic, ['-p', String(partition)], 'a record\n'.repeat(inPartition))
  }
  /** The records that one run consumed: it ends after `wanted` of them, or when none have come for `patienceMs`. */
  const consumed = async (wanted: number, patienceMs: number): Promise<number> => {
    const where = ['--bootstrap-server', broker().kafka, '--topic', topic, '--group', group]
    const until = ['--num-records', String(wanted), '--timeout', String(patienceMs), '--hide-header']
    const { stdout } = await java('org.apache.kafka.tools.ConsumerPerformance', [...where, ...until])
    const totals = stdout
      .toString()
      .split('\n')
      .find(line => /^\d{4}-/.test(line))
    return Number(totals?.split(',')[4])
  }
  /** Resolves when two members have their work. */
  const twoAtWork = async (): Promise<void> => {
    const admin = kafkajsClient(broker().kafka).admin()
    await admin.connect()
    try {
      for (;;) {
        const { groups } = await admin.describeGroups([group])
        if (groups[0]?.state === 'Stable' && groups[0].members.length === 2) return
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    } finally {
      await admin.disconnect()
    }
  }

  test('two of a group share a topic: their totals add up, and who comes later finds only what is new', async () => {
    const all = 4 * inPartition
    const both = Promise.all([consumed(all / 2, 60_000), consumed(all / 2, 60_000)])
    await Promise.race([twoAtWork(), both])
    await fill()
    expect(await both).toEqual([all / 2, all / 2])
    expect(await consumed(1, 3000)).toBe(0)
    await fill()
    expect(await consumed(all, 60_000)).toBe(all)
  })
})
