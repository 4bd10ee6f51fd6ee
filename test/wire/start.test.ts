import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkout, explainFailures, isOurs, startBroker, type Broker } from './broker.ts'
import { consume, produce } from './kcat.ts'
import { launch, run, type Outcome } from './processes.ts'
import { RawConnection, batch, highWatermark, int32, join as joined, produceRaw, text } from './raw.ts'
import { needs } from './tools.ts'
import { createTopic } from './topics.ts'

const command = join(checkout, 'bin', 'stele.mjs')
const start = (data: string, ...args: string[]): Promise<Outcome> => {
  const doors = ['--kafka=127.0.0.1:0', '--http=127.0.0.1:0']
  return run(process.execPath, [command, 'start', '--data', data, ...doors, ...args])
}

/** What a person sees who tried to start a broker. */
const told = ({ code, stderr }: Outcome): object => ({
  code,
  stderr,
  fromStele: /^stele: /m.test(stderr),
  stack: / {4}at .*:\d+:\d+/.test(stderr),
})
/** The start was refused with exit code 1, and a sentence, not a stack, on standard error. */
const refusal = (sentence: RegExp): object => ({
  code: 1,
  stderr: expect.stringMatching(sentence),
  fromStele: true,
  stack: false,
})

describe.skipIf(!isOurs)('stele start', () => {
  let directory = ''
  let broker: Broker | undefined
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-wire-start-'))
  })
  explainFailures(() => broker?.log() ?? 'no broker')
  afterEach(async () => {
    await broker?.stop()
    broker = undefined
    await rm(directory, { recursive: true, force: true })
  })

  test('greets with its doors and something to try, and ends cleanly with Ctrl-C', async () => {
    const doors = ['--kafka=127.0.0.1:0', '--http=127.0.0.1:0']
    const running = launch(process.execPath, [command, 'start', '--data', join(directory, 'new'), ...doors])
    await running.printed(({ stdout }) => /kcat -b 127\.0\.0\.1:\d+ -P/.test(stdout()))
    const http = /http:\/\/127\.0\.0\.1:\d+/.exec(running.stdout())?.[0] ?? ''
    expect(running.stdout()).toMatch(/Kafka +127\.0\.0\.1:\d+/)
    expect((await fetch(`${http}/readyz`)).status).toBe(200)
    expect((await running.kill('SIGINT')).code).toBe(0)
    expect(await readdir(join(directory, 'new'))).toContain('clean-shutdown')
  })

  describe('with kcat', () => {
    needs('kcat')

    test('what was written is there after a clean stop, after kill -9, and after both', async () => {
      const written: string[] = []
      for (const [round, signal] of (['SIGTERM', 'SIGKILL', 'SIGKILL', 'SIGTERM'] as const).entries()) {
        broker = await startBroker({ data: directory })
        await produce(broker.kafka, 'kept', ['-X', 'topic.request.required.acks=all'], `round ${round}\n`)
        written.push(`round ${round}`)
        const found = await consume(broker.kafka, 'kept')
        expect(found.map(({ value }) => value?.toString())).toEqual(written)
        await broker.kill(signal)
      }
    })
  })

  test.for(['SIGTERM', 'SIGKILL'] as const)(
    'idempotent producers are remembered over %s: what they send again is written once',
    async signal => {
      broker = await startBroker({ data: directory })
      const topic = await createTopic(broker.kafka, 'remembered', 1)
      let connection = await RawConnection.open(broker.kafka)
      const identity = await connection.ask(22, 0, joined(text(null), int32(60_000)))
      identity.int32()
      identity.int16()
      const producer = { producerId: identity.int64(), producerEpoch: identity.int16() }
      const sent = [0, 2, 4].map(baseSequence => batch({ ...producer, baseSequence, values: ['a', 'b'] }))
      const sendAll = async (): Promise<unknown[]> => {
        const answers = []
        for (const bytes of sent) answers.push(await produceRaw(connection, topic, 0, bytes))
        return answers
      }
      const answers = [0, 2, 4].map(baseOffset => ({ error: 0, baseOffset }))
      expect(await sendAll()).toEqual(answers)
      await broker.kill(signal)
      broker = await startBroker({ data: directory })
      connection = await RawConnection.open(broker.kafka)
      expect(await sendAll()).toEqual(answers)
      expect(await highWatermark(connection, topic, 0)).toBe(6)
      const gap = batch({ ...producer, baseSequence: 20, values: ['x'] })
      expect((await produceRaw(connection, topic, 0, gap)).error).toBe(45)
      connection.close()
    },
  )

  test('a second start on the same data is refused, and the first goes on', async () => {
    broker = await startBroker({ data: directory })
    expect(told(await start(directory))).toEqual(refusal(/in use by another/))
    expect((await fetch(`${broker.http}/readyz`)).status).toBe(200)
  })

  test('a crash leaves no lock behind', async () => {
    broker = await startBroker({ data: directory })
    await broker.kill('SIGKILL')
    broker = await startBroker({ data: directory })
    expect((await fetch(`${broker.http}/readyz`)).status).toBe(200)
  })

  describe('a port in use', () => {
    let server: Server
    let taken = ''
    beforeEach(async () => {
      server = createServer()
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      taken = `127.0.0.1:${(server.address() as AddressInfo).port}`
    })
    afterEach(() => new Promise(resolve => server.close(resolve)))

    test.for(['kafka', 'http'])('is named: --%s', async door => {
      const outcome = await start(directory, `--${door}=${taken}`)
      expect(told(outcome)).toEqual(refusal(/in use/))
      expect(outcome.stderr).toContain(taken)
      // Nothing stands in the way of a start at another place.
      broker = await startBroker({ data: directory })
    })
  })

  test('a directory with files of others is refused and left as it is', async () => {
    await writeFile(join(directory, 'thesis.txt'), 'years of work')
    expect(told(await start(directory))).toEqual(refusal(/thesis\.txt/))
    expect(await readFile(join(directory, 'thesis.txt'), 'utf8')).toBe('years of work')
  })

  test.for<[string, (meta: Record<string, unknown>) => string, RegExp]>([
    ['of a newer format', meta => JSON.stringify({ ...meta, formatVersion: 99 }), /format 99/],
    ['of another broker', meta => JSON.stringify({ ...meta, brokerId: 7 }), /broker 7/],
    ['whose meta.json is no JSON', () => '{"format', /meta\.json/],
    ['whose meta.json is something else', () => '{"name":"left-pad"}', /meta\.json/],
  ])('a data directory %s is refused and left as it is', async ([, spoil, sentence]) => {
    broker = await startBroker({ data: directory })
    await broker.stop()
    const file = join(directory, 'meta.json')
    const spoilt = spoil(JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>)
    await writeFile(file, spoilt)
    const before = await readdir(directory)
    expect(told(await start(directory))).toEqual(refusal(sentence))
    expect(await readFile(file, 'utf8')).toBe(spoilt)
    expect((await readdir(directory)).sort()).toEqual(before.sort())
  })

  test('a file in the place of the directory', async () => {
    const file = join(directory, 'file')
    await writeFile(file, '')
    expect(told(await start(file))).toEqual(refusal(/not a directory/))
    expect(told(await start(join(file, 'below')))).toEqual(refusal(/not a directory/))
  })

  test('a place that cannot be written, also not by root', async () => {
    const place = process.platform === 'linux' ? '/sys/stele' : '/stele'
    expect(told(await start(place))).toEqual(refusal(/cannot be written/))
  })

  test.for<[string, string[], RegExp]>([
    ['a setting misspelt gets the nearest name', ['--set', 'log.retention.hourz=1'], /log\.retention\.hours/],
    ['a value that is none', ['--set', 'log.segment.bytes=big'], /log\.segment\.bytes/],
    ['a setting without a value', ['--set', 'log.segment.bytes'], /name=value|log\.segment\.bytes/],
    [
      'a configuration file that is not there',
      ['--config', '/nowhere/stele.properties'],
      /stele\.properties/,
    ],
    ['an address that is none', ['--kafka', 'nine-thousand'], /HOST:PORT/],
    ['a host that is not here', ['--http', '192.0.2.1:80'], /192\.0\.2\.1/],
  ])('%s', async ([, args, sentence]) => {
    const outcome = await start(join(directory, 'new'), ...args)
    expect(outcome.stderr).toMatch(sentence)
    expect(outcome.stderr).not.toMatch(/ {4}at .*:\d+:\d+/)
    expect([1, 2]).toContain(outcome.code)
  })

  test('settings come from a file, and --set goes before it', async () => {
    const file = join(directory, 'stele.properties')
    await writeFile(file, '# two settings\nnum.partitions=4\nlog.retention.hours=5\n')
    const data = join(directory, 'data')
    await mkdir(data)
    const doors = ['--kafka=127.0.0.1:0', '--http=127.0.0.1:0', '--json']
    const settings = ['--config', file, '--set', 'num.partitions=6']
    const running = launch(process.execPath, [command, 'start', '--data', data, ...doors, ...settings])
    await running.printed(({ stdout }) => stdout().includes('"ready":true'))
    const ready = JSON.parse(running.stdout().trim().split('\n').at(-1) ?? '') as { http: string }
    await fetch(`${ready.http}/v1/topics`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'sized-by-settings' }),
    })
    const described = await fetch(`${ready.http}/v1/topics/sized-by-settings`)
    const topic = (await described.json()) as {
      partitions: unknown[]
      config: Record<string, { value: string }>
    }
    expect(topic.partitions).toHaveLength(6)
    expect(topic.config['retention.ms']?.value).toBe(String(5 * 3_600_000))
    expect((await running.kill('SIGTERM')).code).toBe(0)
  })
})
