/** A broker of three that has lost its disk: it is copied anew, and whoever looks meanwhile sees how far it is. */
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkout, explainFailures, isOurs } from './broker.ts'
import { succeed } from './processes.ts'
import { startThreeBrokers, type ThreeBrokers } from './three-brokers.ts'
import { until } from './until.ts'

const command = join(checkout, 'cli', 'main.ts')
const mebibytes = 6

describe.skipIf(!isOurs)('a broker that has lost its disk', () => {
  let directory = ''
  let three: ThreeBrokers | undefined
  explainFailures(() => three?.log() ?? 'the brokers did not start')
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-wire-rebuilt-'))
    // A copy takes three seconds, and is asked on for every half.
    three = await startThreeBrokers(
      join(directory, 'data'),
      '--set=follower.replication.throttled.rate=2000000',
    )
  })
  afterAll(async () => {
    await three?.running.kill('SIGTERM')
    await rm(directory, { recursive: true })
  })

  test('is copied anew, and `stele topic describe` says how far it is', async () => {
    if (three === undefined) throw new Error('the brokers are not started')
    const [http = ''] = three.http
    const kafka = new Kafka({
      clientId: 'rebuilt',
      brokers: three.kafka.split(','),
      logLevel: logLevel.NOTHING,
    })
    const admin = kafka.admin()
    await admin.connect()
    const replicaAssignment = [{ partition: 0, replicas: [0, 1, 2] }]
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic: 'rebuilt', replicaAssignment }] })
    await admin.disconnect()
    const producer = kafka.producer()
    await producer.connect()
    for (let n = 0; n < 8 * mebibytes; n++)
      await producer.send({ topic: 'rebuilt', acks: -1, messages: [{ value: 'x'.repeat(128 * 1024) }] })
    await producer.disconnect()
    const described = async (): Promise<string> =>
      (
        await succeed(process.execPath, [command, 'topic', 'describe', 'rebuilt', '--server', http])
      ).stdout.toString()
    expect(await described()).not.toContain('COPYING')
    const data = join(directory, 'data', 'broker-2')
    process.kill(three.pidOf(2), 'SIGKILL')
    await rename(data, `${data}.lost`)
    let seen = ''
    await until(async () => {
      seen = await described()
      return / 2: [1-9]\d?%, [\d.]+ [kM]B left$/m.test(seen)
    })
    expect(seen).toMatch(/ SIZE +COPYING$/m)
    await until(async () => / 0,1,2 +0,1,2 /.test((seen = await described())))
    expect(seen).not.toContain('COPYING')
  })
})
