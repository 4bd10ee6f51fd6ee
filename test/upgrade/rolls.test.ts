/**
 * Brokers of an earlier version and of this one in one cluster: rolled one by one under load, forth and back. Nothing is lost, and how long the longest write of each
 * roll took is printed.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explainFailures } from '../wire/broker.ts'
import { launch, succeed, type Running } from '../wire/processes.ts'
import { needs } from '../wire/tools.ts'
import { until } from '../wire/until.ts'
import { buildOld, copyPresent, type Build } from './builds.ts'
import { MixedBrokers } from './mixed-brokers.ts'

const writers = ['kafkajs', 'platformatic'] as const
/** Each broker leads one partition. */
const places = [0, 1, 2].map(partition => ({
  partition,
  replicas: [0, 1, 2].map(at => (partition + at) % 3),
}))

let directory = ''
let old: Build
let present: Build
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stele-upgrade-'))
  old = buildOld(directory)
  present = copyPresent(directory)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** Whole lines of a writer or member, in words. */
const linesOf = (running: Running): string[][] =>
  running
    .stdout()
    .split('\n')
    .slice(0, -1)
    .map(line => line.split(' '))

async function valuesOf(kafka: string, topic: string, partition: number): Promise<string[]> {
  const where = ['-b', kafka, '-C', '-t', topic, '-p', String(partition), '-e', '-q']
  const { stdout } = await succeed('kcat', where)
  return stdout.toString().trimEnd().split('\n')
}

describe.each(['old', 'present'] as const)('with the control store of the %s version', keeper => {
  needs('kcat')
  let mixed: MixedBrokers | undefined
  explainFailures(() => mixed?.log() ?? 'the brokers did not start')
  const data = (): string => join(directory, `data-${keeper}`)
  const program = (name: string): Build => (name === 'old' ? old : present)
  const written = new Map<string, number>()

  test('brokers are rolled forth and back under load', async () => {
    const brokers = (mixed = new MixedBrokers(data(), program(keeper)))
    await brokers.start([0, 1, 2], old)
    const admin = new Kafka({ brokers: brokers.kafka.split(','), logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await admin.createTopics({
      waitForLeaders: true,
      topics: writers.map(topic => ({ topic, replicaAssignment: places })),
    })
    await admin.disconnect()
    const writing = writers.map(name =>
      launch(process.execPath, [join(import.meta.dirname, 'writers', `${name}.ts`), brokers.kafka, name]),
    )
    const reader = launch(process.execPath, [
      join(import.meta.dirname, '..', 'wire', 'members', 'kafkajs.ts'),
      brokers.kafka,
      'readers',
      'kafkajs',
    ])
    for (const one of [...writing, reader]) await one.printed(() => linesOf(one).length > 10)
    for (const to of [present, old]) {
      for (const id of [0, 1, 2]) {
        await brokers.settled(writers)
        const before = writing.map(one => linesOf(one).length)
        expect(await brokers.stop(id)).toBe(0)
        await brokers.start([id], to)
        await brokers.settled(writers)
        await until(() => writing.every((one, at) => linesOf(one).length > (before[at] ?? 0) + 10))
        const longest = writing.map((one, at) => {
          const rows = linesOf(one)
            .slice(before[at])
            .toSorted(([, a], [, b]) => Number(b) - Number(a))
          const [, took, late] = rows[0] ?? []
          const usual = rows[Math.floor(rows.length / 2)]?.[1]
          return `${writers[at]} ${took} ms (the usual one ${usual} ms; the machine was late by ${late} ms)`
        })
        const handedMs = brokers.handOvers(id).at(-1) ?? 'never'
        process.stderr.write(
          `${keeper} control store, broker ${id} to the ${to.name} version: it handed over in ${handedMs} ms, the longest write took ${longest.join(', ')}\n`,
        )
      }
    }
    for (const [at, one] of writing.entries()) {
      expect((await one.kill('SIGTERM')).code).toBe(0)
      const topic = writers[at] ?? ''
      const lines = linesOf(one)
      expect(lines.filter(([, word]) => word === 'failed')).toEqual([])
      written.set(topic, lines.length)
      await expectWhole(brokers.kafka, topic)
    }
    const total = written.get('kafkajs') ?? 0
    await reader.printed(() => new Set(linesOf(reader).map(([, , value]) => value)).size === total)
    await reader.kill('SIGTERM')
    await brokers.end()
  })

  test('the present version starts on what the old one left, and the old one on what that leaves', async () => {
    for (const build of [present, old, present]) {
      const brokers = (mixed = new MixedBrokers(data(), build))
      await brokers.start([0, 1, 2], build)
      await brokers.settled(writers)
      for (const topic of writers) await expectWhole(brokers.kafka, topic)
      expect(brokers.log()).not.toMatch(/"level":(?:50|60)/)
      await brokers.end()
    }
  })

  /** Every record is there once, in order. */
  async function expectWhole(kafka: string, topic: string): Promise<void> {
    const numbers = Array.from({ length: written.get(topic) ?? 0 }, (_, number) => number)
    for (const { partition } of places) {
      const wanted = numbers.filter(number => number % 3 === partition).map(String)
      expect(await valuesOf(kafka, topic, partition)).toEqual(wanted)
    }
  }
})
