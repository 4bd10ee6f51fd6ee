import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { murmur2 } from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkout, isOurs, useBroker } from './broker.ts'
import { lines, samples } from './content.ts'
import { consume, produce } from './kcat.ts'
import { launch, run, succeed, type LaunchOptions, type Outcome, type Running } from './processes.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic } from './topics.ts'

const command = join(checkout, 'bin', 'stele.mjs')

describe.skipIf(!isOurs)('the stele command', () => {
  const broker = useBroker()
  const at = (options: LaunchOptions): LaunchOptions => ({
    ...options,
    environment: { STELE_SERVER: broker().http },
  })
  /** Runs the command against the broker, whatever its exit code. */
  const tried = (args: readonly string[], input: string | Buffer = ''): Promise<Outcome> =>
    run(process.execPath, [command, ...args], at({ input }))
  /** Runs it and answers what it printed; it must end with exit code 0. */
  const stele = async (args: readonly string[], input: string | Buffer = ''): Promise<string> =>
    (await succeed(process.execPath, [command, ...args], at({ input }))).stdout.toString()
  const started = (args: readonly string[]): Running => launch(process.execPath, [command, ...args], at({}))

  const npm = async (args: readonly string[], input = ''): Promise<string> => {
    const options = { ...at({ input }), directory: checkout }
    return (await succeed('npm', ['run', '-s', 'stele', '--', ...args], options)).stdout.toString()
  }

  test("a newcomer's first minute, as the README says it", async () => {
    const topic = freshTopic('greetings')
    await npm(['produce', topic], 'hello\nworld\n')
    expect(await npm(['consume', topic])).toBe('hello\nworld\n')
  })

  describe('topics', () => {
    test('are created, listed, described, altered and deleted', async () => {
      const topic = freshTopic('cli-topic')
      await stele(['topic', 'create', topic, '--partitions', '3', '--config', 'retention.ms=3600000'])
      expect(await stele(['topic', 'list'])).toMatch(new RegExp(`^${topic} +3 +1$`, 'm'))

      const described = await stele(['topic', 'describe', topic])
      expect(described).toContain(topic)
      expect(described).toMatch(/retention\.ms +3600000/)

      await stele(['topic', 'alter', topic, '-p', '5', '-c', 'segment.bytes=2097152', '-u', 'retention.ms'])
      const altered = JSON.parse(await stele(['topic', 'describe', topic, '--json'])) as TopicJson
      expect(altered.partitions).toHaveLength(5)
      expect(altered.config['segment.bytes']).toMatchObject({ value: '2097152', source: 'topic' })
      expect(altered.config['retention.ms']?.source).not.toBe('topic')

      await stele(['topic', 'delete', topic, '--yes'])
      const listed = JSON.parse(await stele(['topic', 'list', '--json'])) as { name: string }[]
      expect(listed.map(({ name }) => name)).not.toContain(topic)
    })

    test.for<[string, string[], RegExp]>([
      ['a topic that is not there', ['topic', 'describe', 'no-such-topic'], /no-such-topic/],
      ['a name that cannot be', ['topic', 'create', 'a/b'], /a\/b/],
      ['a setting misspelt', ['topic', 'create', 'x', '--config', 'retention.mss=1'], /retention\.ms\b/],
      ['a value out of range', ['topic', 'create', 'x', '--config', 'segment.bytes=-1'], /segment\.bytes/],
      ['fewer partitions', ['topic', 'alter', 'cli-shrink', '--partitions', '1'], /partition/],
      ['more copies than brokers', ['topic', 'create', 'x', '--replication-factor', '9'], /replica|broker/],
    ])('%s: one sentence and exit code 1', async ([, args, sentence]) => {
      await tried(['topic', 'create', 'cli-shrink', '--partitions', '2'])
      const { code, stdout, stderr } = await tried(args)
      expect(stderr).toMatch(sentence)
      expect(stderr).toMatch(/^stele: /)
      expect(stderr).not.toMatch(/ {4}at .*:\d+:\d+/)
      expect([code, stdout.toString()]).toEqual([1, ''])
    })
  })

  describe('produce and consume', () => {
    needs('kcat')

    test('keys choose the partition that other clients choose, headers come along', async () => {
      const topic = await createTopic(broker().kafka, 'cli-keys', 3)
      const sent = samples(1000, 37)
      const input = sent.map(({ key, value }) => `${key}:${value}\n`).join('')
      await stele(['produce', topic, '--key-separator', ':', '--header', 'source=test'], input)
      const received = await consume(broker().kafka, topic)
      expect(received).toHaveLength(sent.length)
      for (const partition of [0, 1, 2]) {
        const expected = sent.filter(({ key }) => (murmur2(key) & 0x7fffffff) % 3 === partition)
        const inPartition = received.filter(message => message.partition === partition)
        expect(inPartition.map(({ key, value }) => `${key?.toString()}:${value?.toString()}`)).toEqual(
          expected.map(({ key, value }) => `${key}:${value}`),
        )
      }
      expect(new Set(received.map(({ headers }) => headers))).toEqual(new Set(['source=test']))
    })

    test('a file of bytes goes in and comes out the same', async () => {
      const topic = await createTopic(broker().kafka, 'cli-file', 1)
      const file = lines(100_000, 41)
      await stele(['produce', topic], file)
      const { stdout } = await succeed(process.execPath, [command, 'consume', topic], at({ input: '' }))
      expect(stdout.equals(file)).toBe(true)
    })

    test('--json tells where each record went', async () => {
      const topic = await createTopic(broker().kafka, 'cli-where', 1)
      const answers = (await stele(['produce', topic, '--json'], 'a\nb\nc\n')).trimEnd().split('\n')
      expect(answers.map(line => JSON.parse(line) as unknown)).toMatchObject([
        { partition: 0, offset: 0 },
        { partition: 0, offset: 1 },
        { partition: 0, offset: 2 },
      ])
    })

    test.for(['none', 'gzip', 'snappy', 'lz4', 'zstd'])(
      'what kcat wrote with codec %s is read',
      async codec => {
        const topic = await createTopic(broker().kafka, `cli-codec-${codec}`, 1)
        const sent = samples(2000, 43).map(({ value }) => value)
        await produce(broker().kafka, topic, ['-z', codec, '-H', 'a=b'], sent.join('\n'))
        expect(await stele(['consume', topic])).toBe(`${sent.join('\n')}\n`)
      },
    )

    test('reading starts at the beginning, the end, an offset or a time, and stops after a count', async () => {
      const topic = await createTopic(broker().kafka, 'cli-from', 1)
      await stele(['produce', topic], 'a\nb\nc\nd\n')
      const from = (...args: string[]): Promise<string> => stele(['consume', topic, ...args])
      expect(await from('--from', 'beginning')).toBe('a\nb\nc\nd\n')
      expect(await from('--from', 'end')).toBe('')
      expect(await from('--from', '2')).toBe('c\nd\n')
      expect(await from('--from', '1', '--max', '2')).toBe('b\nc\n')
      expect(await from('--from', '2020-01-01T00:00Z')).toBe('a\nb\nc\nd\n')
      expect(await from('--from', '2999-01-01T00:00Z')).toBe('')
      const records = (await from('--json')).trimEnd().split('\n')
      expect(records.map(line => JSON.parse(line) as unknown)).toMatchObject(
        ['a', 'b', 'c', 'd'].map((value, offset) => ({ partition: 0, offset, key: null, value })),
      )
    })

    test('--follow goes on with what comes later, and ends with Ctrl-C', async () => {
      const topic = await createTopic(broker().kafka, 'cli-follow', 1)
      await stele(['produce', topic], 'one\n')
      const reader = started(['consume', topic, '--follow'])
      await reader.printed(({ stdout }) => stdout() === 'one\n')
      await stele(['produce', topic], 'two\n')
      await reader.printed(({ stdout }) => stdout() === 'one\ntwo\n')
      const { stderr } = await reader.kill('SIGINT')
      expect(stderr).not.toMatch(/ {4}at .*:\d+:\d+/)
    })

    test('a reader that leaves early is no error', async () => {
      const topic = await createTopic(broker().kafka, 'cli-head', 1)
      await stele(['produce', topic], lines(50_000, 47))
      const piped = `'${process.execPath}' '${command}' consume ${topic} | head -n 3 | wc -l`
      const { stdout, stderr } = await succeed('bash', ['-o', 'pipefail', '-c', piped], at({ input: '' }))
      expect([stdout.toString().trim(), stderr]).toEqual(['3', ''])
    })

    test('a record that is refused is named, and the exit code is 1', async () => {
      const topic = await createTopic(broker().kafka, 'cli-large', 1, { 'max.message.bytes': '1000' })
      const { code, stderr } = await tried(['produce', topic], `small\n${'x'.repeat(5000)}\n`)
      expect(code).toBe(1)
      expect(stderr).toMatch(/line 2/)
    })
  })

  describe('dump', () => {
    needs('kcat')
    let log = ''
    let directory = ''
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'stele-wire-dump-'))
      const topic = await createTopic(broker().kafka, 'cli-dump', 1)
      await stele(
        ['produce', topic, '--key', 'k'],
        samples(2000, 53)
          .map(({ value }) => `${value}\n`)
          .join(''),
      )
      const all = await readdir(broker().data, { recursive: true })
      const found = all.find(path => path.includes(`${topic}-0`) && path.endsWith('.log'))
      log = join(broker().data, found ?? 'missing')
    })
    afterAll(() => rm(directory, { recursive: true, force: true }))

    test('shows the batches, records and index entries of a segment', async () => {
      const batches = (await stele(['dump', log, '--records', '--json'])).trimEnd().split('\n')
      const dumped = batches.flatMap(line => (JSON.parse(line) as { records: { value: string }[] }).records)
      expect(dumped.map(({ value }) => value)).toEqual(samples(2000, 53).map(({ value }) => value))
      await stele(['dump', log.replace(/log$/, 'index')])
      await stele(['dump', log.replace(/log$/, 'timeindex')])
    })

    test('finds damage and says so with exit code 1', async () => {
      const copy = join(directory, '00000000000000000000.log')
      await copyFile(log, copy)
      const bytes = await readFile(copy)
      bytes[bytes.length - 10] = (bytes[bytes.length - 10] ?? 0) ^ 1
      await writeFile(copy, bytes)
      const { code, stderr } = await tried(['dump', copy])
      expect([code, stderr.startsWith('stele: ') || stderr.includes('\nstele: ')]).toEqual([1, true])
    })

    test('a file that is not there', async () => {
      const { code, stderr } = await tried(['dump', join(directory, '00000000000000000007.log')])
      expect([code, stderr]).toEqual([1, expect.stringContaining('00000000000000000007.log')])
    })
  })

  test.for<[string, string[]]>([
    ['an unknown command', ['topics']],
    ['an unknown option', ['consume', 'x', '--fromm', 'end']],
    ['a number that is none', ['topic', 'create', 'x', '--partitions', 'many']],
    ['a missing argument', ['produce']],
    ['nothing to change', ['topic', 'alter', 'x']],
  ])('%s: exit code 2', async ([, args]) => {
    const { code, stdout, stderr } = await tried(args)
    expect([code, stdout.toString()]).toEqual([2, ''])
    expect(stderr).not.toBe('')
  })

  test('help shows examples for every command, and the version is printed', async () => {
    const commands = ['start', 'topic', 'topic create', 'topic alter', 'produce', 'consume', 'dump']
    for (const words of commands) {
      expect(await stele([...words.split(' '), '--help'])).toMatch(/Examples:\n {2}.*stele /)
    }
    const { version } = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8')) as {
      version: string
    }
    expect(await stele(['--version'])).toContain(version)
  })

  test('a broker that is not there is named', async () => {
    const nobody = ['topic', 'list', '--server', 'http://127.0.0.1:1']
    const { code, stderr } = await tried(nobody)
    expect([code, stderr]).toEqual([1, expect.stringContaining('127.0.0.1:1')])
    expect(stderr).not.toMatch(/ {4}at .*:\d+:\d+/)
  })
})

type TopicJson = {
  partitions: unknown[]
  config: Record<string, { value: string; source: string } | undefined>
}
