/** Kafka Connect as it is published: lines of a file to a topic to another file, with the worker killed in the middle. */
import { existsSync, readFileSync } from 'node:fs'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { useBroker } from './broker.ts'
import { launchJava } from './java.ts'
import { consume } from './kcat.ts'
import type { Running } from './processes.ts'
import { needs } from './tools.ts'
import { kafkajsClient } from './topics.ts'
import { until } from './until.ts'

needs('kcat', 'java', 'mvn')
const broker = useBroker({ settings: { 'group.initial.rebalance.delay.ms': '0' } })
const topic = 'lines'
const internals = { config: 'connect-configs', offset: 'connect-offsets', status: 'connect-status' }

let directory = ''
let worker: Running | undefined
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stele-connect-'))
})
afterEach(() => worker?.kill('SIGKILL'))
afterAll(() => rm(directory, { recursive: true, force: true }))

/** Starts a worker of the distributed kind and answers the address of its REST interface. */
async function start(kafka: string): Promise<string> {
  const properties = join(directory, 'worker.properties')
  const all: Record<string, string> = {
    'bootstrap.servers': kafka,
    'group.id': 'connect',
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    listeners: 'HTTP://127.0.0.1:0',
    'offset.flush.interval.ms': '500',
    // A worker that was killed is given up soon, and its tasks are not kept for it.
    'session.timeout.ms': '6000',
    'heartbeat.interval.ms': '500',
    'scheduled.rebalance.max.delay.ms': '0',
    'consumer.session.timeout.ms': '6000',
    'consumer.heartbeat.interval.ms': '500',
  }
  for (const [what, name] of Object.entries(internals)) {
    all[`${what}.storage.topic`] = name
    all[`${what}.storage.replication.factor`] = '1'
  }
  await writeFile(
    properties,
    Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  worker = await launchJava(
    ['connect-runtime', 'connect-file', 'connect-json'],
    'org.apache.kafka.connect.cli.ConnectDistributed',
    [properties],
  )
  const address = /REST server listening at (http:\/\/127\.0\.0\.1:\d+)/
  await worker.printed(printed => printed.stderr().includes('Kafka Connect started'))
  return address.exec(worker.stderr())?.[1] ?? ''
}

async function connect(rest: string, name: string, config: Record<string, string>): Promise<void> {
  const body = JSON.stringify({ name, config: { 'tasks.max': '1', ...config } })
  const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
  // A worker that is just joining its group says 409 for a while.
  await until(async () => {
    const response = await fetch(`${rest}/connectors`, request)
    const text = await response.text()
    if (response.status !== 201 && response.status !== 409) throw new Error(`${response.status}: ${text}`)
    return response.status === 201 || text.includes('already exists')
  })
}

async function states(rest: string, name: string): Promise<string[]> {
  const response = await fetch(`${rest}/connectors/${name}/status`)
  if (!response.ok) return []
  const { connector, tasks } = (await response.json()) as {
    connector: { state: string }
    tasks: { state: string }[]
  }
  return [connector.state, ...tasks.map(({ state }) => state)]
}

const lines = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, n) => `line ${from + n} of the file`)

test('every line arrives, and a worker that was killed goes on where it was', async () => {
  const { kafka } = broker()
  const [source, sink] = [join(directory, 'source.txt'), join(directory, 'sink.txt')]
  const arrived = (): Set<string> => new Set(existsSync(sink) ? readFileSync(sink, 'utf8').split('\n') : [])
  const has = (wanted: readonly string[]) => () => {
    const there = arrived()
    return wanted.every(line => there.has(line))
  }
  const write = (all: readonly string[]) => appendFile(source, all.map(line => `${line}\n`).join(''))

  await write(lines(0, 1000))
  const first = await start(kafka)
  await connect(first, 'reader', {
    'connector.class': 'org.apache.kafka.connect.file.FileStreamSourceConnector',
    file: source,
    topic,
  })
  await connect(first, 'writer', {
    'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
    file: sink,
    topics: topic,
  })
  await until(has(lines(0, 1000)))
  await write(lines(1000, 3000))
  await until(has(lines(1000, 1001)))
  await worker?.kill('SIGKILL')
  await write(lines(3000, 4000))

  // Nobody tells the new one about the connectors: it reads of them in the topics.
  const second = await start(kafka)
  await until(has(lines(0, 4000)))
  for (const name of ['reader', 'writer']) expect(await states(second, name)).toEqual(['RUNNING', 'RUNNING'])
  const written = (await consume(kafka, topic)).map(
    ({ value }) => (JSON.parse(String(value)) as { payload: string }).payload,
  )
  expect(new Set(written)).toEqual(new Set(lines(0, 4000)))
  // It went on from a place it had noted, not from the beginning of the file.
  expect(written.filter(line => line === lines(0, 1)[0])).toHaveLength(1)
  expect([...arrived()].filter(line => line !== '')).toHaveLength(4000)

  const admin = kafkajsClient(kafka).admin()
  await admin.connect()
  const names = Object.values(internals)
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map(name => ({
      type: kafkajs.ConfigResourceTypes.TOPIC,
      name,
      configNames: ['cleanup.policy'],
    })),
  })
  await admin.disconnect()
  const policies = resources.map(({ configEntries }) => configEntries[0]?.configValue)
  expect(policies).toEqual(names.map(() => 'compact'))
})
