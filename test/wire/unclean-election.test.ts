import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { TopicDescription } from '../../cli/broker-http.ts'
import { checkout, explainFailures, isOurs } from './broker.ts'
import { java } from './java.ts'
import { succeed } from './processes.ts'
import { startThreeBrokers, type ThreeBrokers } from './three-brokers.ts'
import { needs } from './tools.ts'
import { until } from './until.ts'

describe.skipIf(!isOurs)('a tablet whose last replica in sync lost its disk', () => {
  needs('kcat', 'java', 'mvn')
  let directory = ''
  let three: ThreeBrokers | undefined
  explainFailures(() => three?.log() ?? 'the brokers did not start')
  afterAll(async () => {
    if (three !== undefined) await three.running.kill('SIGTERM')
    await rm(directory, { recursive: true, force: true })
  })

  test('is led by another one when its owner asks for that with Kafka’s tool, and not before', async () => {
    directory = await mkdtemp(join(tmpdir(), 'stele-wire-unclean-'))
    const cluster = (three = await startThreeBrokers(directory, '--set=replica.lag.time.max.ms=1000'))
    const places = cluster.kafka.split(',')
    const topic = 'last'
    const tablet = async (broker: number, name = topic) => {
      const answer = await fetch(`${cluster.http[broker]}/v1/topics/${name}`)
      return ((await answer.json()) as TopicDescription).partitions[0]
    }
    const write = (at: number, value: string) =>
      succeed('kcat', ['-P', `-b${places[at]}`, `-t${topic}`, '-p0', '-Xrequest.required.acks=-1'], {
        input: `${value}\n`,
      })
    await fetch(`${cluster.http[0]}/v1/topics`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: topic, partitions: 1, replication_factor: 3 }),
    })
    const last = (await tablet(0))?.leader ?? -1
    const at = (id: number) => cluster.http[id] ?? ''
    const stele = async (...args: string[]) =>
      (await succeed(process.execPath, [join(checkout, 'cli', 'main.ts'), ...args])).stdout.toString()
    await stele('topic', 'create', 'alone', '--replication-factor', '1', '--server', at(0))
    await stele('topic', 'move', 'alone', '--partition', '0', '--to', `${last}`, '--server', at(0))
    await until(async () => (await tablet(last, 'alone'))?.replicas.join() === `${last}`)
    const [first = -1, second = -1] = [0, 1, 2].filter(id => id !== last)
    await write(last, 'all have it')
    for (const id of [first, second]) process.kill(cluster.pidOf(id), 'SIGSTOP')
    await until(async () => (await tablet(last))?.isr.length === 1)
    await write(last, 'one has it')
    process.kill(cluster.pidOf(last), 'SIGKILL')
    await rm(join(directory, `broker-${last}`), { recursive: true })
    for (const id of [first, second]) process.kill(cluster.pidOf(id), 'SIGCONT')
    await until(
      async () => (await tablet(first))?.offline?.includes(`broker ${last} cannot serve it`) === true,
    )

    // What is said to do about it works when it is pasted.
    const adviceFor = async (name: string) =>
      (await tablet(first, name))?.todo?.split(': stele ')[1]?.split(' ') ?? []
    const advice = (await adviceFor(topic)).join(' ')
    expect(advice).toMatch(/^topic elect last --partition 0 --unclean --server http:/)
    await until(async () => (await adviceFor('alone'))[1] === 'delete')
    expect(await stele(...(await adviceFor('alone')), '--yes')).toBe('deleted alone\n')

    const elect = async () => {
      const place = `--bootstrap-server=${places[first]}`
      const which = ['--election-type=unclean', `--topic=${topic}`, '--partition=0']
      return (await java('org.apache.kafka.tools.LeaderElectionCommand', [place, ...which])).stdout.toString()
    }
    expect(await elect()).toMatch(/Successfully completed leader election.*last-0/)
    expect(cluster.log()).toContain('leads a tablet out of sync')
    expect(await elect()).toMatch(/Valid replica already elected.*last-0/)
    expect(await stele('topic', 'elect', topic, '--unclean', '--yes', '--server', at(first))).toMatch(
      /has a leader/,
    )
    await until(async () => {
      const now = await tablet(first)
      return now?.isr.length === 3 && now.offline === undefined
    })
    await write(first, 'all have this too')
    const { stdout } = await succeed('kcat', [`-b${cluster.kafka}`, '-C', `-t${topic}`, '-e', '-q'])
    expect(stdout.toString()).toBe('all have it\nall have this too\n')
  })
})
