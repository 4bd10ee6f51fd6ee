/** What the broker does not do yet is refused at once and by name, whatever the client, so that nobody waits for it. */
import { Consumer, MessagesStreamModes, Producer } from '@platformatic/kafka'
import { beforeAll, describe, expect, test } from 'vitest'
import { isKafka, useBroker } from './broker.ts'
import { needsInstalled } from './clients/install.ts'
import { launchProgram, programNames } from './clients/programs.ts'
import { java, launchTool } from './java.ts'
import { run } from './processes.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('kcat', 'java', 'mvn')
needsInstalled('confluent', 'python')

const limitMs = 60_000
const refused = /Transactional ?Id ?Authorization ?(?:failed|Exception|FailedError)/i

describe.skipIf(isKafka)('not yet', () => {
  const broker = useBroker()
  let topic = ''
  beforeAll(async () => {
    topic = await createTopic(broker().kafka, 'not-yet', 1)
  })

  describe('transactions', () => {
    test.for(programNames)('%s', async program => {
      const id = freshTopic('transactional-id')
      const running = await launchProgram(program, broker().kafka, 'transactions', id, {}, { limitMs })
      const { code, stderr } = await running.ended
      expect([code, stderr]).toEqual([1, expect.stringMatching(refused)])
    })

    test('kcat', async () => {
      const args = ['-P', '-b', broker().kafka, '-t', topic, '-X', `transactional.id=${freshTopic('id')}`]
      const { code, stderr } = await run('kcat', args, { input: 'line\n', limitMs })
      expect([code, stderr]).toEqual([1, expect.stringMatching(refused)])
    })

    test('ProducerPerformance', async () => {
      const id = freshTopic('id')
      const where = ['--bootstrap-server', broker().kafka, '--topic', topic]
      const load = ['--num-records', '10', '--record-size', '10', '--throughput', '-1']
      const tool = java('org.apache.kafka.tools.ProducerPerformance', [
        ...where,
        ...load,
        '--transactional-id',
        id,
      ])
      await expect(tool).rejects.toThrow(refused)
    })

    test('kafkajs', async () => {
      const settings = { transactionalId: freshTopic('id'), idempotent: true, maxInFlightRequests: 1 }
      const producer = kafkajsClient(broker().kafka).producer(settings)
      // Its own words for whatever the coordinator's answer was.
      await expect(producer.transaction()).rejects.toThrow(/Failed to find group coordinator/)
      await producer.disconnect()
    })

    test('@platformatic/kafka', async () => {
      const settings = { transactionalId: freshTopic('id'), idempotent: true }
      const where = { clientId: 'wire-tests', bootstrapBrokers: [broker().kafka] }
      const producer = new Producer({ ...where, ...settings })
      const errors = [{ apiId: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED' }]
      await expect(producer.beginTransaction()).rejects.toMatchObject({ errors })
      await producer.close()
    })
  })

  /** Starts one of Java's consumers and waits for what it says of the broker; it may go on trying. */
  const told = async (mainClass: string, what: RegExp, ...args: string[]): Promise<string> => {
    const where = ['--bootstrap-server', broker().kafka, '--topic', topic]
    const running = await launchTool(`org.apache.kafka.tools.consumer.${mainClass}`, [...where, ...args], {
      limitMs,
    })
    try {
      await running.printed(started => what.test(started.stderr()))
      return running.stderr()
    } finally {
      await running.kill('SIGKILL')
    }
  }

  describe('group.protocol=consumer', () => {
    test('ConsoleConsumer', async () => {
      const refusal = /cluster does not support the new CONSUMER group protocol/
      const asked = ['--command-property', 'group.protocol=consumer']
      expect(await told('ConsoleConsumer', refusal, ...asked)).toMatch(refusal)
    })

    // librdkafka goes on looking for a coordinator, and says so only when it is asked for every step.
    test('confluent-kafka', async () => {
      const refusal = /ConsumerGroupHeartbeatRequest not supported by broker/
      const settings = { 'group.id': freshTopic('group'), 'group.protocol': 'consumer', debug: 'cgrp' }
      const member = await launchProgram('confluent-kafka', broker().kafka, 'member', topic, settings)
      await member.printed(started => refusal.test(started.stderr()))
      const { stdout, stderr } = await member.kill('SIGKILL')
      expect([stdout.toString(), stderr]).toEqual(['', expect.stringMatching(refusal)])
    })

    test('@platformatic/kafka', async () => {
      const where = { clientId: 'wire-tests', bootstrapBrokers: [broker().kafka] }
      const consumer = new Consumer({ ...where, groupId: freshTopic('group'), groupProtocol: 'consumer' })
      const consume = consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST })
      await expect(consume).rejects.toThrow(/Unsupported API ConsumerGroupHeartbeat/)
      await consumer.close(true)
    })
  })

  describe('share groups', () => {
    test('ConsoleShareConsumer', async () => {
      const refusal = /cluster does not support the share group protocol/
      expect(await told('ConsoleShareConsumer', refusal)).toMatch(refusal)
    })
  })
})
