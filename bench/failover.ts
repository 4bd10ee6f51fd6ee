// How long do producers wait when the leader of what they write to is killed, or falls silent? How fast does a follower that was away catch up, and
// how long is it until 1,000 tablets of a killed broker are led again? Clients have their default settings. Beside each pause stands how long the
// machine itself let a process wait that does nothing.
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Kafka, logLevel } from 'kafkajs'
import { Acknowledgements } from './acknowledgements.ts'
import { Load } from './load.ts'
import { heading, median, shown, table } from './measuring.ts'
import { residentBytes, ThreeBrokers } from './three-brokers.ts'

const MiB = 1024 * 1024
const topic = 'failover'
/** A producer that has no acknowledgement for so long has lost its way. */
const limitMs = 60_000

type Case = {
  readonly ledMs: number
  readonly pauses: Readonly<Record<string, number>>
  readonly stallMs: number
  readonly backMs: number
}

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    silent: { type: 'string', default: '5' },
    tablets: { type: 'string', default: '1000' },
    megabytes: { type: 'string', default: '512' },
  },
})

await pauses(Number(values.kills), Number(values.silent))
if (values.megabytes !== '0') await catchUp(Number(values.megabytes) * MiB)
if (values.tablets !== '0') await manyTablets(Number(values.tablets))
process.exit(0)

async function pauses(kills: number, silent: number): Promise<void> {
  const three = await ThreeBrokers.start()
  await passed(1_000)
  const idle = [three.pid, ...three.members.map(({ pid }) => pid)].map(residentBytes)
  await created(three, topic, 1)
  const clients = {
    librdkafka: librdkafka(three),
    kafkajs: kafkajs(three),
    'HTTP, by any broker': overHttp(three),
  }
  const stalls = fork(join(import.meta.dirname, 'stalls-process.ts'))
  const ran: Record<'SIGKILL' | 'SIGSTOP', Case[]> = { SIGKILL: [], SIGSTOP: [] }
  for (const [signal, rounds] of [
    ['SIGKILL', kills],
    ['SIGSTOP', silent],
  ] as const) {
    for (let round = 0; round < rounds; round++) {
      const one = await once(three, signal, clients, stalls)
      ran[signal].push(one)
      print(`${signal} ${round + 1}: ${JSON.stringify(one, (_, value: unknown) => rounded(value))}`)
    }
  }
  heading('Pauses when a leader is killed or falls silent')
  print(`Load (1 minute) at the end: ${loadavg()[0]?.toFixed(1)} on ${cpus().length} cores.\n`)
  const columns = ['median', 'max'].flatMap(what => [`kill -9, ${what} ms`, `SIGSTOP, ${what} ms`])
  const row = (name: string, of: (one: Case) => number): string[] => [
    name,
    ...[median, (all: readonly number[]) => Math.max(...all)].flatMap(figure =>
      [ran.SIGKILL, ran.SIGSTOP].map(all => {
        const found = all.map(of).filter(value => !Number.isNaN(value))
        return found.length === 0 ? '-' : shown(figure(found))
      }),
    ),
  ]
  table(
    [`${kills} kills, ${silent} silent`, ...columns],
    [
      ...Object.keys(clients).map(name =>
        row(`last acknowledgement to the next, ${name}`, one => one.pauses[name] ?? NaN),
      ),
      row('until another broker leads, as others see it', ({ ledMs }) => ledMs),
      row('the machine let another process wait', ({ stallMs }) => stallMs),
      row('until all three are in sync again', ({ backMs }) => backMs),
    ],
  )
  for (const client of Object.values(clients)) client.stop()
  stalls.disconnect()
  await three.stop()
  heading('Resident memory of three brokers, idle')
  table(
    ['', 'MB'],
    [
      ['keeper of the control store', shown((idle[0] ?? NaN) / 1e6)],
      [
        'each broker',
        idle
          .slice(1)
          .map(bytes => shown(bytes / 1e6))
          .join(', '),
      ],
      ['together', shown(idle.reduce((sum, bytes) => sum + bytes, 0) / 1e6)],
    ],
  )
}

type Client = {
  /** It never waits for an answer of the old leader. */
  readonly asksAnew: boolean
  pauseSince(sinceMs: number): Promise<number>
  /** Begins anew, and has had its first acknowledgement when this resolves. */
  renew?(): Promise<void>
  stop(): void
}

async function once(
  three: ThreeBrokers,
  signal: 'SIGKILL' | 'SIGSTOP',
  clients: Readonly<Record<string, Client>>,
  stalls: ChildProcess,
): Promise<Case> {
  const [tablet] = await three.allInSync(topic)
  for (const client of Object.values(clients)) await client.renew?.()
  await passed(500 + Math.random() * 1_000)
  const leader = tablet?.leader ?? 0
  const atMs = Date.now()
  three.signal(leader, signal)
  await three.until(topic, ([now]) => now?.leader !== leader && now?.leader !== null, leader)
  const ledMs = Date.now() - atMs
  const found: [string, number][] = []
  for (const [name, client] of Object.entries(clients)) {
    // What was sent to who is silent, a client gives up by its own time-out, of 30 to 60 s.
    if (signal === 'SIGSTOP' && !client.asksAnew) continue
    // The pause has ended once there is an acknowledgement from after it.
    let pauseMs = await client.pauseSince(atMs + ledMs)
    pauseMs = Math.max(pauseMs, await client.pauseSince(atMs))
    found.push([name, pauseMs])
  }
  const stallMs = await asked<number>(stalls, atMs)
  if (signal === 'SIGSTOP') three.signal(leader, 'SIGCONT')
  await three.allInSync(topic)
  return { ledMs, pauses: Object.fromEntries(found), stallMs, backMs: Date.now() - atMs }
}

function kafkajs(three: ThreeBrokers): Client {
  const child = fork(join(import.meta.dirname, 'acknowledged-process.ts'), [three.kafka, topic])
  return {
    asksAnew: false,
    async pauseSince(sinceMs) {
      for (const endMs = Date.now() + limitMs; Date.now() < endMs; await passed(10)) {
        const { pauseMs, errors } = await asked<{ pauseMs: number | null; errors: number }>(child, sinceMs)
        if (errors > 0) throw new Error('a producer was told an error')
        if (pauseMs !== null) return pauseMs
      }
      throw new Error('kafkajs has no acknowledgement any more')
    },
    stop: () => child.disconnect(),
  }
}

/**
 * A new one for each kill: librdkafka waits up to 10 s before it connects again to a broker that was away, and the one that leads next was killed a few
 * seconds ago.
 */
function librdkafka(three: ThreeBrokers): Client {
  const acknowledged = new Acknowledgements()
  let failed = 0
  let stop = (): void => undefined
  const start = (): void => {
    const child = spawn('kcat', ['-b', three.kafka, '-P', '-t', topic, '-vvv'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    const end = (): void => void child.kill('SIGKILL')
    process.once('exit', end)
    child.stdin.on('error', () => undefined)
    child.stderr.on('data', (chunk: Buffer) => {
      const text = chunk.toString()
      for (let n = text.split('Message delivered to').length; n > 1; n--) acknowledged.note()
      if (text.includes('Delivery failed')) failed++
    })
    // It reads 1,024 bytes at a time, and reports what was acknowledged when it has read some.
    const feed = setInterval(() => child.stdin.write(`${'x'.repeat(1_023)}\n`), 5)
    stop = () => {
      clearInterval(feed)
      process.off('exit', end)
      end()
    }
  }
  const pauseSince = async (sinceMs: number): Promise<number> => {
    for (const endMs = Date.now() + limitMs; Date.now() < endMs; await passed(10)) {
      if (failed > 0) throw new Error('a producer was told an error')
      const pauseMs = acknowledged.pauseSince(sinceMs)
      if (pauseMs !== undefined) return pauseMs
    }
    throw new Error('librdkafka has no acknowledgement any more')
  }
  return {
    asksAnew: false,
    pauseSince,
    async renew() {
      stop()
      start()
      await pauseSince(Date.now())
    },
    stop: () => stop(),
  }
}

/** Asks one broker after the other, each time anew: what it waits for is the cluster alone, not an answer that it was to get from the old leader. */
function overHttp(three: ThreeBrokers): Client {
  const acknowledged = new Acknowledgements()
  const running = { on: true }
  const send = async (): Promise<void> => {
    for (let n = 0; running.on; n++) {
      const { http } = three.member(n % 3)
      const signal = AbortSignal.timeout(250)
      const body = 'x'.repeat(100)
      const answer = await fetch(`${http}/append?topic=${topic}`, { method: 'POST', body, signal }).catch(
        () => undefined,
      )
      if (answer?.ok === true) acknowledged.note()
      else await passed(20)
      await answer?.arrayBuffer().catch(() => undefined)
    }
  }
  void send()
  return {
    asksAnew: true,
    async pauseSince(sinceMs) {
      for (const endMs = Date.now() + limitMs; Date.now() < endMs; await passed(10)) {
        const pauseMs = acknowledged.pauseSince(sinceMs)
        if (pauseMs !== undefined) return pauseMs
      }
      throw new Error('nobody takes records over HTTP any more')
    },
    stop: () => void (running.on = false),
  }
}

/** A follower is paused until it is out of sync, what is written meanwhile it has to fetch; the time is from its return until it is in sync. */
async function catchUp(bytes: number): Promise<void> {
  const three = await ThreeBrokers.start({ 'replica.lag.time.max.ms': '3000', 'stele.flush': 'os' })
  await created(three, topic, 1)
  const follower = 2
  const load = (requests: number): Promise<Load> =>
    Load.start({ kafkaPort: Number(three.member(0).kafka.split(':').at(-1)) }, [
      { kind: 'produce', topic, batchBytes: 64 * 1024, acks: 1, inFlight: 4, requests },
    ])
  three.signal(follower, 'SIGSTOP')
  await three.until(topic, ([now]) => now?.isr.length === 2, follower)
  await (await load(bytes / (64 * 1024))).finished()
  const beganMs = Date.now()
  three.signal(follower, 'SIGCONT')
  await three.allInSync(topic)
  const seconds = (Date.now() - beganMs) / 1000
  heading('A follower that was away catches up')
  table(
    ['', 'MB', 'seconds', 'MB/s'],
    [['one tablet', shown(bytes / 1e6), shown(seconds), shown(bytes / 1e6 / seconds)]],
  )
  await three.stop()
}

async function manyTablets(tablets: number): Promise<void> {
  const three = await ThreeBrokers.start()
  await created(three, topic, tablets)
  await three.allInSync(topic)
  const rows: string[][] = []
  for (let round = 0; round < 3; round++) {
    const before = await three.tablets(topic)
    // Each time they all go to the first in sync.
    const victim = before[0]?.leader ?? 0
    const led = before.filter(({ leader }) => leader === victim).length
    const writes = three.controlWrites
    const beganMs = Date.now()
    three.signal(victim, 'SIGKILL')
    await three.until(topic, now => now.every(({ leader }) => leader !== null && leader !== victim), victim)
    const ledMs = Date.now() - beganMs
    const claimed = three.controlWrites - writes
    await three.allInSync(topic)
    const backMs = Date.now() - beganMs
    rows.push([
      String(led),
      shown(ledMs),
      String(claimed),
      shown(backMs),
      String(three.controlWrites - writes),
    ])
  }
  heading(`A broker that leads many of ${tablets} tablets is killed`)
  table(
    ['tablets led', 'ms until led again', 'control store writes', 'ms until all in sync', 'writes by then'],
    rows,
  )
  await three.stop()
}

/** All tablets prefer broker 0, then 1, then 2. */
async function created(three: ThreeBrokers, name: string, tablets: number): Promise<void> {
  const client = new Kafka({
    clientId: 'failover',
    brokers: three.kafka.split(','),
    logLevel: logLevel.NOTHING,
  })
  const admin = client.admin()
  await admin.connect()
  const replicaAssignment = Array.from({ length: tablets }, (_, partition) => ({
    partition,
    replicas: [0, 1, 2],
  }))
  await admin.createTopics({ topics: [{ topic: name, replicaAssignment }], timeout: 60_000 })
  await admin.disconnect()
  await three.allInSync(name)
}

function asked<T>(child: ChildProcess, what: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('a process of the bench has ended'))
    child.once('exit', ended)
    child.once('message', answer => {
      child.off('exit', ended)
      resolve(answer as T)
    })
    child.send(what)
  })
}

function rounded(value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value) : value
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
