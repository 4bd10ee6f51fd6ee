/** Several brokers as processes that end, or stop to do anything, in ways that nobody wants: what was acknowledged is there, and nobody is left behind. */
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkout, isOurs } from './broker.ts'
import { launch, spawnPiped, succeed, type Running } from './processes.ts'
import { startThreeBrokers, type ThreeBrokers } from './three-brokers.ts'
import { needs } from './tools.ts'
import { until } from './until.ts'

const topic = 'kept'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stele-wire-ends-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** Processes whose command line has `data` in it: brokers carry it in `--data`. */
async function processesOf(data: string): Promise<number[]> {
  const all = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(
    all.map(async pid => {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      return line.includes(`--data=${data}`) ? [Number(pid)] : []
    }),
  )
  return found.flat()
}

/** Writes numbers one after the other with acks=all, until one is not acknowledged any more. */
async function writing(kafka: string) {
  const client = new Kafka({
    brokers: kafka.split(','),
    logLevel: logLevel.NOTHING,
    retry: { retries: 30, maxRetryTime: 500 },
  })
  const admin = client.admin()
  await admin.connect()
  await admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic, replicaAssignment: [{ partition: 0, replicas: [0, 1, 2] }] }],
  })
  await admin.disconnect()
  const producer = client.producer({ idempotent: true })
  await producer.connect()
  const state = { on: true, acknowledged: 0 }
  const done = (async () => {
    for (; state.on; state.acknowledged++)
      await producer.send({ topic, acks: -1, messages: [{ value: String(state.acknowledged) }] })
  })().catch(() => undefined)
  const stop = async (): Promise<void> => {
    state.on = false
    await done
    await producer.disconnect().catch(() => undefined)
  }
  return { state, stop }
}

type Partition = { readonly leader: number | null; readonly isr: readonly number[] }

/** As one of the brokers sees it that answer. */
async function partitionIn({ http }: ThreeBrokers, asleep?: number): Promise<Partition | undefined> {
  for (const [id, place] of http.entries()) {
    if (id === asleep) continue
    const signal = AbortSignal.timeout(2_000)
    const answer = await fetch(`${place}/v1/topics/${topic}`, { signal }).catch(() => undefined)
    if (answer?.ok) return ((await answer.json()) as { partitions: Partition[] }).partitions[0]
  }
  return undefined
}

async function valuesIn(kafka: string): Promise<string[]> {
  const { stdout } = await succeed('kcat', ['-b', kafka, '-C', '-t', topic, '-e', '-q'])
  return stdout.toString().trimEnd().split('\n')
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i))

describe.skipIf(!isOurs)('brokers and their parent', () => {
  needs('kcat')

  test('after the parent was killed under load no broker is left, and everything acknowledged is there', async () => {
    const data = join(directory, 'killed')
    const first = await startThreeBrokers(data)
    const load = await writing(first.kafka)
    await until(() => load.state.acknowledged > 200)
    await first.running.kill('SIGKILL')
    const { acknowledged } = load.state
    await until(async () => (await processesOf(data)).length === 0)
    const second = await startThreeBrokers(data, `--kafka=${first.kafka.split(',')[0]}`)
    await load.stop()
    const values = await valuesIn(second.kafka)
    expect(values.length).toBeGreaterThanOrEqual(acknowledged)
    expect(values).toEqual(numbers(values.length))
    expect((await second.running.kill('SIGTERM')).code).toBe(0)
    expect(await processesOf(data)).toEqual([])
  })

  test('nobody is left either when who reads the log is gone with the parent', async () => {
    const data = join(directory, 'unread')
    const places = ['--kafka=127.0.0.1:0', '--http=127.0.0.1:0', `--data=${data}`]
    const command = [join(checkout, 'cli', 'main.ts'), 'start', '--brokers=3', '--json', ...places]
    const parent = spawnPiped(process.execPath, command)
    await new Promise(resolve => parent.stdout.once('data', resolve))
    parent.stdout.destroy()
    parent.stderr.destroy()
    expect((await processesOf(data)).length).toBe(4)
    parent.kill('SIGKILL')
    await until(async () => (await processesOf(data)).length === 0)
  })

  test('a leader that is paused is replaced, and killed in its sleep it comes back', async () => {
    const data = join(directory, 'paused')
    const three = await startThreeBrokers(data)
    const load = await writing(three.kafka)
    await until(async () => (await partitionIn(three))?.isr.length === 3)
    const paused = (await partitionIn(three))?.leader ?? -1
    const pid = three.pidOf(paused)
    process.kill(pid, 'SIGSTOP')
    await until(async () => ![paused, null, undefined].includes((await partitionIn(three, paused))?.leader))
    process.kill(pid, 'SIGKILL')
    const before = load.state.acknowledged
    await until(() => load.state.acknowledged > before + 10)
    await until(async () => (await partitionIn(three, paused))?.isr.length === 3)
    expect(three.pidOf(paused)).not.toBe(pid)
    await load.stop()
    expect(await valuesIn(three.kafka)).toEqual(numbers(load.state.acknowledged))
    expect((await three.running.kill('SIGTERM')).code).toBe(0)
    expect(await processesOf(data)).toEqual([])
  })

  const start = (data: string): Running =>
    launch(process.execPath, [
      join(checkout, 'cli', 'main.ts'),
      'start',
      '--brokers=3',
      '--json',
      `--data=${data}`,
      '--kafka=127.0.0.1:0',
      '--http=127.0.0.1:0',
    ])

  test.each<[string, (data: string, running: Running) => boolean]>([
    ['when a broker has begun', data => existsSync(join(data, 'broker-1', 'meta.json'))],
    ['when one is ready', (_, running) => running.stderr().includes('broker is ready')],
  ])(
    'Ctrl-C in the middle of a start ends all, and the next start begins well: %s',
    async (when, reached) => {
      const data = join(directory, when.replaceAll(' ', '-'))
      const running = start(data)
      await until(() => reached(data, running))
      expect((await running.kill('SIGINT')).code).toBe(0)
      expect(await processesOf(data)).toEqual([])
      const three = await startThreeBrokers(data)
      expect((await three.running.kill('SIGINT')).code).toBe(0)
      expect(await processesOf(data)).toEqual([])
    },
  )
})
