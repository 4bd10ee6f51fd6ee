// How long do producers wait when the leader of what they write to is killed, or falls silent? How fast does a follower that was away catch up, and
// how long is it until 1,000 tablets of a killed broker are led again? Clients have their default settings. Beside each pause stands how long the
// machine itself let a process wait that does nothing.
import { fork, type ChildProcess } from 'node:child_process'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { asked, kafkajs, librdkafka, overHttp, type Client } from './failover-clients.ts'
import { Load } from './load.ts'
import { heading, median, print, rounded, shown, table } from './measuring.ts'
import { residentBytes, ThreeBrokers } from './three-brokers.ts'

const MiB = 1024 * 1024
const topic = 'failover'

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
  await three.createTopic(topic, 1)
  const clients = {
    librdkafka: librdkafka({ kafka: three.kafka, topic, anew: true }),
    kafkajs: kafkajs({ kafka: three.kafka, topic }),
    'HTTP, by any broker': overHttp({ http: three.members.map(({ http }) => http), topic }),
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

/** A follower is paused until it is out of sync, what is written meanwhile it has to fetch; the time is from its return until it is in sync. */
async function catchUp(bytes: number): Promise<void> {
  const three = await ThreeBrokers.start({ 'replica.lag.time.max.ms': '3000', 'stele.flush': 'os' })
  await three.createTopic(topic, 1)
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
  await three.createTopic(topic, tablets)
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
