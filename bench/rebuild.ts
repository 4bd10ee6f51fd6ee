// How long is a broker copied that has lost its disk, or was away, and what does that cost the producers meanwhile? Three brokers as
// `stele start --brokers 3` runs them; each question without a limit on copies and with the default one, by turns. STELE_BENCH_BUILD measures another build.
import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Kafka, logLevel, type Producer } from 'kafkajs'
import { Load } from './load.ts'
import { heading, shown, table } from './measuring.ts'
import { ThreeBrokers } from './three-brokers.ts'

const MiB = 1024 * 1024
const batchBytes = 64 * 1024
/** The first is led by broker 0, the second by broker 1. */
const topics = ['rebuilt-0', 'rebuilt-1']
const probed = 'probed'
/** The broker that loses its disk, and was away: it leads nothing. */
const victim = 2
const limitSetting = 'follower.replication.throttled.rate'

const { values } = parseArgs({
  options: {
    mebibytes: { type: 'string', default: '2048' },
    tablets: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '1' },
    limits: { type: 'string', default: 'none,default' },
    flush: { type: 'string', default: 'fsync' },
  },
})

type Pauses = { readonly medianMs: number; readonly p99Ms: number; readonly maxMs: number }
type Copied = {
  /** Of the broker that copies. */
  readonly cpuSeconds: number
  readonly seconds: number
  readonly bytes: number
  readonly pauses: Pauses
  readonly load: number
}

const rows: string[][] = []
for (let round = 0; round < Number(values.rounds); round++)
  for (const limit of values.limits.split(',')) await once(limit)
heading('A broker is copied')
table(
  [
    'limit',
    'what',
    'MB',
    'seconds',
    'MB/s',
    's per GiB',
    'CPU-s/GB',
    'acks=all p50 ms',
    'p99 ms',
    'max ms',
    'load',
  ],
  rows,
)
process.exit(0)

async function once(limit: string): Promise<void> {
  const limits = limit === 'default' ? {} : { [limitSetting]: limit === 'none' ? '-1' : limit }
  const three = await ThreeBrokers.start({
    ...limits,
    'replica.lag.time.max.ms': '3000',
    'stele.flush': values.flush,
  })
  const kafka = new Kafka({
    clientId: 'rebuild',
    brokers: three.kafka.split(','),
    logLevel: logLevel.NOTHING,
  })
  await create(kafka)
  for (const topic of [...topics, probed]) await three.allInSync(topic)
  const producer = kafka.producer()
  await producer.connect()
  const bytes = Number(values.mebibytes) * MiB
  await fill(three, bytes)
  for (const topic of topics) await three.allInSync(topic)
  const show = (what: string, { seconds, bytes: copied, pauses, load, cpuSeconds }: Copied): void => {
    const perGiB = seconds / (copied / (1024 * MiB))
    const figures = [copied / 1e6, seconds, copied / 1e6 / seconds, perGiB]
    const cpu = cpuSeconds / (copied / 1e9)
    const felt = [cpu, pauses.medianMs, pauses.p99Ms, pauses.maxMs, load]
    const row = [limit, what, ...[...figures, ...felt].map(one => (Number.isNaN(one) ? '-' : shown(one)))]
    rows.push(row)
    process.stdout.write(`${row.join('  ')}\n`)
  }
  const calm = probing(producer)
  await passed(10_000)
  show('nothing', {
    seconds: NaN,
    bytes: NaN,
    cpuSeconds: NaN,
    pauses: await calm.stop(),
    load: loadavg()[0] ?? NaN,
  })
  show('its disk is lost', await measured(three, producer, bytes, () => loseDisk(three)))
  show('it was away', await measured(three, producer, bytes / 4, () => beAway(three, bytes / 4)))
  await producer.disconnect()
  await three.stop()
}

/** From when `lose` resolves until everything is in sync again. */
async function measured(
  three: ThreeBrokers,
  producer: Producer,
  bytes: number,
  lose: () => Promise<void>,
): Promise<Copied> {
  await lose()
  const beganMs = performance.now()
  const probe = probing(producer)
  const cpuBefore = cpuSecondsOf(three.member(victim).pid)
  for (const topic of [...topics, probed]) await three.allInSync(topic)
  const seconds = (performance.now() - beganMs) / 1_000
  const cpuSeconds = cpuSecondsOf(three.member(victim).pid) - cpuBefore
  return { seconds, bytes, cpuSeconds, pauses: await probe.stop(), load: loadavg()[0] ?? NaN }
}

async function loseDisk(three: ThreeBrokers): Promise<void> {
  const data = join(three.data, `broker-${victim}`)
  const before = three.member(victim).pid
  three.signal(victim, 'SIGKILL')
  renameSync(data, `${data}.lost`)
  for (const topic of topics)
    await three.until(topic, all => all.every(({ isr }) => isr.length === 2), victim)
  rmSync(`${data}.lost`, { recursive: true })
  while (three.member(victim).pid === before) await passed(10)
}

async function beAway(three: ThreeBrokers, bytes: number): Promise<void> {
  three.signal(victim, 'SIGSTOP')
  for (const topic of topics)
    await three.until(topic, all => all.every(({ isr }) => isr.length === 2), victim)
  await fill(three, bytes)
  three.signal(victim, 'SIGCONT')
}

/** Time the threads of a process have been on a processor since it started. */
function cpuSecondsOf(pid: number): number {
  const threads = `/proc/${pid}/task`
  const nanoseconds = readdirSync(threads).map(thread =>
    Number(readFileSync(`${threads}/${thread}/schedstat`, 'utf8').split(' ')[0]),
  )
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9
}

/** Half of it is led by broker 0 and half by broker 1. */
async function fill(three: ThreeBrokers, bytes: number): Promise<void> {
  const tablets = tabletsEach()
  const requests = Math.ceil(bytes / batchBytes / topics.length / tablets)
  const loads = await Promise.all(
    topics.map((topic, leader) =>
      Load.start({ kafkaPort: Number(three.member(leader).kafka.split(':').at(-1)) }, [
        {
          kind: 'produce',
          topic,
          batchBytes,
          acks: 1,
          inFlight: 4,
          requests,
          partitions: tablets,
          connections: tablets,
        },
      ]),
    ),
  )
  await Promise.all(loads.map(load => load.finished()))
}

async function create(kafka: Kafka): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  const placed = (topic: string, leader: number, tablets: number) => ({
    topic,
    replicaAssignment: Array.from({ length: tablets }, (_, partition) => ({
      partition,
      replicas: [leader, 1 - leader, victim],
    })),
  })
  const wanted = [
    ...topics.map((topic, leader) => placed(topic, leader, tabletsEach())),
    placed(probed, 0, 1),
  ]
  await admin.createTopics({ topics: wanted, timeout: 60_000 })
  await admin.disconnect()
}

function tabletsEach(): number {
  return Math.max(1, Math.round(Number(values.tablets) / topics.length))
}

/** One record after the other with acks=all, and how long each acknowledgement took. */
function probing(producer: Producer): { stop(): Promise<Pauses> } {
  const tookMs: number[] = []
  const running = { on: true }
  const run = (async () => {
    while (running.on) {
      const sentMs = performance.now()
      await producer.send({ topic: probed, acks: -1, messages: [{ value: 'x'.repeat(100) }] })
      tookMs.push(performance.now() - sentMs)
      await passed(5)
    }
  })()
  return {
    async stop() {
      running.on = false
      await run
      const sorted = tookMs.toSorted((a, b) => a - b)
      const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? NaN
      return { medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
    },
  }
}
