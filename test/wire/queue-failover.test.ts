/** An HTTP consumer of a queue whose coordinator is killed, and goes elsewhere and back, works on under its name. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explainFailures, isOurs } from './broker.ts'
import { RawConnection, text } from './raw.ts'
import { startThreeBrokers, type ThreeBrokers } from './three-brokers.ts'
import { until } from './until.ts'

const group = 'workers'
const topic = 'work'

describe.skipIf(!isOurs)('a queue of three brokers', () => {
  let directory = ''
  let three: ThreeBrokers | undefined
  const cluster = (): ThreeBrokers => {
    if (three === undefined) throw new Error('the brokers are not started yet')
    return three
  }
  explainFailures(() => three?.log() ?? 'the brokers did not start')

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-wire-queue-'))
    three = await startThreeBrokers(join(directory, 'data'))
  })
  afterAll(async () => {
    await three?.running.kill('SIGINT')
    await rm(directory, { recursive: true, force: true })
  })

  let asked = 0

  /** Asks the next broker; undefined when that is not there, says to come again, or that what a receipt is for is somebody else's now. */
  async function ask(path: string, body: object): Promise<unknown> {
    const { http } = cluster()
    const server = http[asked++ % http.length]
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${server}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers,
    }).catch(() => undefined)
    if (answer?.ok === true) return answer.json()
    if (answer !== undefined && ![409, 503, 504].includes(answer.status))
      throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return undefined
  }

  async function surely<T>(path: string, body: object): Promise<T> {
    let answer: unknown
    await until(async () => (answer = await ask(path, body)) !== undefined)
    return answer as T
  }

  async function coordinator(): Promise<number | undefined> {
    for (const place of cluster().kafka.split(',')) {
      try {
        const connection = await RawConnection.open(place)
        const answer = await connection.ask(10, 0, text(group))
        const error = answer.int16()
        const broker = answer.int32()
        connection.close()
        if (error === 0) return broker
      } catch {
        // It is the one that was killed.
      }
    }
    return undefined
  }

  const written: string[] = []
  async function write(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const value = `job ${written.length}`
      await surely(`/v1/topics/${topic}/records`, { records: [{ value }] })
      written.push(value)
    }
  }

  test('its consumer finds the next coordinator, and the one after that', async () => {
    await surely('/v1/topics', { name: topic, partitions: 3 })
    const wish = { topics: [topic], visibility_timeout_ms: 60_000 }
    const { consumer } = await surely<{ consumer: string }>(`/v1/groups/${group}/consumers`, wish)
    const path = `/v1/groups/${group}/consumers/${consumer}`
    type Received = { records: { value: string; receipt: string }[] }
    const done = new Set<string>()
    async function work(): Promise<void> {
      const answer = (await ask(`${path}/receive`, { wait_ms: 2_000 })) as Received | undefined
      const receipts = (answer?.records ?? []).map(({ receipt }) => receipt)
      if (receipts.length > 0 && (await ask(`${path}/acknowledge`, { receipts })) !== undefined)
        for (const { value } of answer?.records ?? []) done.add(value)
    }
    const finish = async () => {
      await until(async () => {
        await work()
        return done.size === written.length
      })
    }
    await write(20)
    await finish()
    let first: number | undefined
    await until(async () => (first = await coordinator()) !== undefined)
    process.kill(cluster().pidOf(first ?? NaN), 'SIGKILL')
    await until(async () => ![first, undefined].includes(await coordinator()))
    await write(20)
    await finish()
    // It gets its tablets back.
    await until(async () => (await coordinator()) === first)
    await write(20)
    await finish()
    expect(done).toEqual(new Set(written))
  })
})
