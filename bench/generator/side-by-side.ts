/**
 * Kafka and Stele under the load generator, in turns. Enters: cases, each with what shall be reached. Leaves: a table with the ratios, and the samples.
 * Always holds: both run all the time and each case is measured on one right after the other, in an order that changes with every round; the first
 * round, in which Java's code gets warm, does not count.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { setTimeout as passed } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { kafkajsClient } from '../../test/wire/topics.ts'
import { kafkaVersion } from '../../test/kafka-jars.ts'
import { startKafka } from '../../test/wire/kafka-reference.ts'
import { Broker, newDirectory } from '../broker.ts'
import { heading, median, print, shown, spread, table } from '../measuring.ts'
import { generate, type Generated, type GeneratorOptions } from './generator.ts'

export type Case = {
  readonly name: string
  readonly kind: 'produce' | 'fetch'
  readonly load: Omit<GeneratorOptions, 'topic' | 'pid' | 'seconds' | 'warm-up'>
  /** What counts: requests a second, or bytes. */
  readonly counts: 'requests' | 'bytes'
  /** Ratios of Stele to Kafka that shall be reached. */
  readonly atLeast: number
  readonly cpuAtMost?: number
}

/** A fetch reads this; a produce writes into a topic of its own. */
export type Filled = { readonly topic: string; readonly bytes: number; readonly load: Case['load'] }

type Peer = {
  readonly name: string
  readonly address: string
  readonly pid: number
  stop(): Promise<unknown>
}

type Options = {
  readonly rounds: number
  readonly seconds: number
  readonly only: string
  readonly json: string | undefined
}

const optionsOf = (): Options => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      only: { type: 'string', default: '' },
      json: { type: 'string' },
    },
  })
  return {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    only: values.only,
    json: values.json,
  }
}

/** More is not needed for a rate, and would have to be written back to the disk while others are measured. */
const bytesMax = 1e9
const settings = { 'log.segment.delete.delay.ms': '0' }

/** `--rounds`, `--seconds`, `--only=PART-OF-A-NAME` and `--json=FILE` come from the command line. */
export async function sideBySide(title: string, all: readonly Case[], filled?: Filled): Promise<void> {
  const options = optionsOf()
  const cases = all.filter(({ name }) => name.includes(options.only))
  const peers = [await startedKafka(), await startedStele()]
  const samples = new Map(cases.map(({ name }) => [name, peers.map((): Generated[] => [])]))
  try {
    if (filled !== undefined) for (const peer of peers) await fill(peer, filled)
    for (let round = 0; round <= options.rounds; round++) {
      for (const each of cases) {
        for (const n of round % 2 === 0 ? [0, 1] : [1, 0]) {
          const peer = peers[n]
          if (peer === undefined) continue
          const seconds = round === 0 ? 3 * options.seconds : options.seconds
          const measured = await measure(peer, each, seconds, filled?.topic)
          if (round > 0) samples.get(each.name)?.[n]?.push(measured)
        }
      }
    }
  } finally {
    for (const peer of peers) await peer.stop()
  }
  tell(title, cases, samples)
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify([...samples], undefined, 1))
}

async function startedKafka(): Promise<Peer> {
  const data = newDirectory()
  const { kafka, process: running } = await startKafka({ data, settings })
  const stop = async (): Promise<void> => {
    await running.kill('SIGTERM')
    rmSync(data, { recursive: true, force: true })
  }
  return { name: `Kafka ${kafkaVersion}`, address: kafka, pid: running.pid, stop }
}

async function startedStele(): Promise<Peer> {
  const broker = await Broker.start({ settings: { ...settings, 'stele.flush': 'os' } })
  return {
    name: 'Stele',
    address: `127.0.0.1:${broker.kafkaPort}`,
    pid: broker.pid,
    stop: () => broker.stop(),
  }
}

let topics = 0

async function measure(
  peer: Peer,
  { kind, load }: Case,
  seconds: number,
  filledTopic?: string,
): Promise<Generated> {
  const topic = filledTopic ?? `loaded-${topics++}`
  const window = { seconds, 'warm-up': seconds / 4, bytes: bytesMax, pid: peer.pid }
  if (filledTopic === undefined) await createTopic(peer.address, topic, load.partitions ?? 1)
  const measured = await generate(kind, peer.address, { topic, ...load, ...window })
  if (filledTopic === undefined) await deleteTopic(peer.address, topic)
  return measured
}

async function fill(peer: Peer, { topic, bytes, load }: Filled): Promise<void> {
  await createTopic(peer.address, topic, load.partitions ?? 1)
  await generate('produce', peer.address, { topic, ...load, bytes, 'warm-up': 0, seconds: 120 })
}

/** Ready for records in all its partitions when this resolves: Kafka tells of leaders before they lead. */
async function createTopic(address: string, topic: string, partitions: number): Promise<void> {
  const topics = [{ topic, numPartitions: partitions, replicationFactor: 1 }]
  await withAdmin(address, admin => admin.createTopics({ waitForLeaders: true, topics }))
  const first = { topic, partitions, connections: partitions, seconds: 10, 'warm-up': 0, bytes: 1 }
  const triesMax = 100
  for (let tries = 1; ; tries++) {
    try {
      await generate('produce', address, first)
      return
    } catch (error) {
      if (tries === triesMax) throw error
      await passed(100)
    }
  }
}

const deleteTopic = (address: string, topic: string): Promise<unknown> =>
  withAdmin(address, admin => admin.deleteTopics({ topics: [topic] }))

type Admin = ReturnType<ReturnType<typeof kafkajsClient>['admin']>

async function withAdmin(address: string, act: (admin: Admin) => Promise<unknown>): Promise<void> {
  const admin = kafkajsClient(address).admin()
  await admin.connect()
  try {
    await act(admin)
  } finally {
    await admin.disconnect()
  }
}

function tell(
  title: string,
  cases: readonly Case[],
  samples: ReadonlyMap<string, readonly Generated[][]>,
): void {
  heading(title)
  const rows = cases.map(({ name, counts, atLeast, cpuAtMost }) => {
    const [kafka = [], stele = []] = samples.get(name) ?? []
    const rate = (one: Generated): number =>
      counts === 'requests' ? one.requestsPerSecond : one.megabytesPerSecond
    const cpu = (one: Generated): number =>
      counts === 'requests'
        ? ((one.serverCpuSeconds ?? NaN) / one.requests) * 1e6
        : (one.serverCpuSeconds ?? NaN) / (one.bytes / 1e9)
    return [
      name,
      counts === 'requests' ? 'requests/s, µs' : 'MB/s, s/GB',
      ...compared(kafka.map(rate), stele.map(rate)),
      `≥ ${atLeast}`,
      ...compared(kafka.map(cpu), stele.map(cpu)),
      cpuAtMost === undefined ? '' : `≤ ${cpuAtMost}`,
      shown(median(stele.map(({ ownCpuSeconds, seconds }) => ownCpuSeconds / seconds))),
    ]
  })
  const columns = [
    'Kafka',
    'Stele',
    'ratio',
    'wanted',
    'CPU Kafka',
    'CPU Stele',
    'ratio',
    'wanted',
    "load's CPU",
  ]
  table(['', 'in', ...columns], rows)
  print('\nEach: median (least-greatest) of the rounds; ratios are of the two measurements of one round.')
}

/** Both, and their ratio round by round. */
function compared(kafka: readonly number[], stele: readonly number[]): string[] {
  const ratios = stele.map((value, round) => value / (kafka[round] ?? NaN))
  return [kafka, stele, ratios].map(values => `${shown(median(values))} (${spread(values)})`)
}
