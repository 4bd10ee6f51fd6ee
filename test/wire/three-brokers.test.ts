import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel, type Admin } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TopicDescription } from '../../cli/broker-http.ts'
import { checkout, explainFailures, isOurs } from './broker.ts'
import { launch, run, succeed, type Running } from './processes.ts'
import { RawConnection, text } from './raw.ts'
import { startThreeBrokers, type ThreeBrokers } from './three-brokers.ts'
import { needs } from './tools.ts'
import { until } from './until.ts'

const command = join(checkout, 'cli', 'main.ts')
const kills = 4

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stele-wire-three-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe.skipIf(!isOurs)('three brokers that are killed again and again', () => {
  needs('kcat')
  let three: ThreeBrokers | undefined
  let admin: Admin
  const cluster = (): ThreeBrokers => {
    if (three === undefined) throw new Error('the brokers are not started yet')
    return three
  }
  explainFailures(() => three?.log() ?? 'the brokers did not start')

  beforeAll(async () => {
    three = await startThreeBrokers(join(directory, 'killed'))
    admin = client().admin()
    await admin.connect()
    await admin.createTopics({
      waitForLeaders: true,
      topics: ['kafkajs', 'librdkafka'].map(topic => ({
        topic,
        replicaAssignment: [{ partition: 0, replicas: [0, 1, 2] }],
      })),
    })
  })
  afterAll(async () => {
    await admin.disconnect()
    expect((await cluster().running.kill('SIGINT')).code).toBe(0)
  })

  const client = (): Kafka =>
    new Kafka({ clientId: 'three', brokers: cluster().kafka.split(','), logLevel: logLevel.NOTHING })

  async function partitionOf(topic: string): Promise<{ leader: number; isr: number[] }> {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0]?.partitions[0] ?? { leader: -1, isr: [] }
  }

  /** Ends the process of the broker that leads `topic`; answers its number. */
  async function killLeaderOf(topic: string): Promise<number> {
    let leader = -1
    await until(async () => {
      const now = await partitionOf(topic).catch(() => undefined)
      leader = now?.leader ?? -1
      return now?.isr.length === 3 && leader >= 0 && alive(cluster().pidOf(leader))
    })
    process.kill(cluster().pidOf(leader), 'SIGKILL')
    return leader
  }

  async function valuesOf(topic: string): Promise<string[]> {
    const { stdout } = await succeed('kcat', ['-b', cluster().kafka, '-C', '-t', topic, '-e', '-q'])
    return stdout.toString().trimEnd().split('\n')
  }

  const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i))

  test('of two idempotent producers every acknowledged record is there once, in order', async () => {
    const producer = client().producer({ idempotent: true })
    await producer.connect()
    const sending = { on: true }
    let acknowledged = 0
    const kafkajs = (async () => {
      for (; sending.on; acknowledged++)
        await producer.send({ topic: 'kafkajs', acks: -1, messages: [{ value: String(acknowledged) }] })
    })()
    const librdkafka = launch('kcat', [
      '-P',
      // Otherwise kcat ends itself when each broker has ended once and it has not needed them again.
      '-E',
      `-b${cluster().kafka}`,
      '-tlibrdkafka',
      '-Xenable.idempotence=true',
      '-Xlinger.ms=0',
      // Otherwise it stays away from a broker that was killed for up to 10 s.
      '-Xreconnect.backoff.max.ms=250',
    ])
    let written = 0
    const feed = setInterval(() => {
      for (const end = written + 20; written < end; written++) librdkafka.stdin.write(`${written}\n`)
    }, 10)
    try {
      for (let kill = 0; kill < kills; kill++) {
        await killLeaderOf(kill % 2 === 0 ? 'kafkajs' : 'librdkafka')
        const before = { acknowledged, end: await endOf('librdkafka') }
        await until(() => acknowledged > before.acknowledged + 10)
        await until(async () => (await endOf('librdkafka')) > before.end + 10)
      }
    } finally {
      clearInterval(feed)
      sending.on = false
      librdkafka.stdin.end()
    }
    await kafkajs
    await producer.disconnect()
    const outcome = await librdkafka.ended
    expect(outcome).toMatchObject({ code: 0 })
    expect(await valuesOf('kafkajs')).toEqual(numbers(acknowledged))
    expect(await valuesOf('librdkafka')).toEqual(numbers(written))
    expect(
      cluster()
        .running.stderr()
        .match(/a broker ended; it is started again/g),
    ).toHaveLength(kills)
  })

  async function endOf(topic: string): Promise<number> {
    const [at] = await admin.fetchTopicOffsets(topic).catch(() => [])
    return Number(at?.high ?? 0)
  }

  test('a group goes on when its coordinator is killed, from what was committed', async () => {
    const members: Running[] = ['kafkajs', 'platformatic'].map(name =>
      launch(process.execPath, [
        join(import.meta.dirname, 'members', `${name}.ts`),
        cluster().kafka,
        `group-${name}`,
        'kafkajs',
      ]),
    )
    const seen = (member: Running): string[] => member.stdout().trimEnd().split('\n')
    await admin.setOffsets({
      groupId: 'asleep',
      topic: 'kafkajs',
      partitions: [{ partition: 0, offset: '7' }],
    })
    const before = Number((await admin.fetchTopicOffsets('kafkajs'))[0]?.high)
    for (const member of members) await member.printed(() => seen(member).length >= before)
    await killLeaderOf('kafkajs')
    for (const group of ['asleep', 'group-kafkajs']) {
      await until(async () => (await coordinatorOf(group)) !== undefined)
      await killCoordinatorOf(group)
    }
    const producer = client().producer()
    await producer.connect()
    await producer.send({ topic: 'kafkajs', messages: [{ value: 'after' }] })
    await producer.disconnect()
    for (const member of members)
      await member.printed(() => seen(member).some(line => line.endsWith(' after')))
    await until(async () => {
      const offsets = await admin.fetchOffsets({ groupId: 'asleep', topics: ['kafkajs'] }).catch(() => [])
      return offsets[0]?.partitions[0]?.offset === '7'
    })
    // Whether a client can say goodbye so soon after its coordinator was killed is its own affair.
    for (const member of members) await member.kill('SIGTERM')
    for (const member of members) {
      const offsets = new Set(seen(member).map(line => line.split(' ')[1]))
      expect([...offsets].map(Number).toSorted((a, b) => a - b)).toEqual(numbers(before + 1).map(Number))
    }
  })

  async function coordinatorOf(group: string): Promise<number | undefined> {
    for (const place of cluster().kafka.split(',')) {
      try {
        const connection = await RawConnection.open(place)
        const answer = await connection.ask(10, 0, text(group))
        const error = answer.int16()
        const broker = answer.int32()
        connection.close()
        if (error === 0 && alive(cluster().pidOf(broker))) return broker
      } catch {
        // It is the one that was killed.
      }
    }
    return undefined
  }

  async function killCoordinatorOf(group: string): Promise<void> {
    const { stderr } = cluster().running
    await until(async () => (await partitionOf('kafkajs').catch(() => undefined))?.isr.length === 3)
    const broker = await coordinatorOf(group)
    if (broker === undefined) throw new Error(`nobody coordinates ${group}`)
    const ready = () => stderr().split('"msg":"broker is ready"').length
    const before = ready()
    process.kill(cluster().pidOf(broker), 'SIGKILL')
    await until(() => ready() > before)
  }
})

describe.skipIf(!isOurs)('stele start --brokers', () => {
  const start = (data: string, ...args: string[]) =>
    run(process.execPath, [command, 'start', '--data', data, ...args])

  test('ends cleanly with SIGTERM, has everything again, and grows', async () => {
    const data = join(directory, 'again')
    let three = await startThreeBrokers(data, '--set=stele.log.level=warn')
    await succeed(process.execPath, [command, 'topic', 'create', 'kept', '--server', three.http[0] ?? ''])
    expect((await three.running.kill('SIGTERM')).code).toBe(0)
    for (const id of [0, 1, 2]) expect(await readdir(join(data, `broker-${id}`))).toContain('clean-shutdown')
    expect(three.log()).not.toContain('a fetch failed')
    expect(await start(data, '--brokers=2')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/holds a cluster of 3 brokers/),
    })
    expect(await start(data)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/Start it with --brokers/),
    })
    three = await startThreeBrokers(data, '--brokers=4')
    expect(three.http).toHaveLength(4)
    const topic = (await (await fetch(`${three.http[3]}/v1/topics/kept`)).json()) as object
    expect(topic).toMatchObject({ partitions: [expect.objectContaining({ replicas: [0, 1, 2] })] })
    const [server = ''] = three.http
    const stele = (...args: string[]) =>
      succeed(process.execPath, [command, 'topic', ...args, '--server', server, '--json'])
    const moved = await stele('move', 'kept', '--partition', '0', '--to', '3,2,1')
    expect(JSON.parse(moved.stdout.toString())).toEqual([
      { partition: 0, replicas: [3, 2, 1], adding: [3], removing: [0] },
    ])
    await until(async () => {
      const now = (await (await fetch(`${server}/v1/topics/kept`)).json()) as TopicDescription
      return now.partitions[0]?.replicas.join() === '3,2,1'
    })
    const elected = await stele('elect', 'kept')
    expect(JSON.parse(elected.stdout.toString())).toMatchObject([{ partition: 0, leader: 3 }])
    const nowhere = await run(process.execPath, [
      command,
      'topic',
      'move',
      'kept',
      '--partition=0',
      '--to=7',
      `--server=${server}`,
    ])
    expect(nowhere).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there are brokers 0, 1, 2, 3'),
    })
    expect((await three.running.kill('SIGTERM')).code).toBe(0)
  })

  test('no broker outlives the process that keeps the control store', async () => {
    const three = await startThreeBrokers(join(directory, 'orphans'))
    const pids = [0, 1, 2].map(id => three.pidOf(id))
    expect(pids.map(alive)).toEqual([true, true, true])
    const [paused = NaN] = pids
    process.kill(paused, 'SIGSTOP')
    // Its end is heard of later: what is paused holds its output.
    process.kill(three.running.pid, 'SIGKILL')
    await until(() => !pids.slice(1).some(alive))
    // What is paused cannot know: the next start wakes it, and waits until it has ended.
    const next = await startThreeBrokers(join(directory, 'orphans'))
    // The system may need a moment more to take its process away.
    await until(() => !alive(paused))
    expect((await next.running.kill('SIGTERM')).code).toBe(0)
  })

  test('what cannot be is refused with a sentence', async () => {
    const taken = await startThreeBrokers(join(directory, 'taken'))
    const [first] = taken.kafka.split(',')
    expect(
      await start(join(directory, 'port'), '--brokers=3', `--kafka=${first}`, '--http=127.0.0.1:0'),
    ).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/in use[^]*A broker could not start/),
    })
    expect(await start(join(directory, 'taken'), '--brokers=3')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/in use by another/),
    })
    await taken.running.kill('SIGTERM')
  })
})
