// How long do producers with default settings wait in Kubernetes when the leader's process is killed, without the operator and with it, and when its node
// falls silent? What does it cost the API server when a broker goes that leads 1,000 tablets? Beside each pause stands how long the machine itself let a
// process wait that does nothing. Brings up the cluster of `make kubernetes` when it is not there.
import { fork, type ChildProcess } from 'node:child_process'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { connected } from '../test/kubernetes/rig/machine.ts'
import { asked, kafkajs, librdkafka, overHttp, type Client } from './failover-clients.ts'
import { heading, median, print, rounded, shown, table } from './measuring.ts'
import { RigCluster } from './rig-cluster.ts'

const topic = 'failover'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    silent: { type: 'string', default: '5' },
    tablets: { type: 'string', default: '1000' },
    operator: { type: 'string', default: 'off,on' },
    each: { type: 'boolean', default: false },
  },
})

type Deed = 'kill -9' | 'SIGSTOP' | 'cable'
type Case = {
  readonly ledMs: number
  readonly pauses: Readonly<Record<string, number>>
  readonly stallMs: number
  readonly backMs: number
  readonly sliceWrites: number
  readonly load: number
}

const rig = await RigCluster.start(topic)
try {
  await pauses()
  if (values.tablets !== '0') await manyTablets(Number(values.tablets))
} finally {
  await rig.stop()
}
process.exit(0)

async function pauses(): Promise<void> {
  await rig.createTopic(topic, 1)
  const clients = {
    librdkafka: librdkafka({ kafka: rig.kafka, topic, anew: false }),
    kafkajs: kafkajs({ kafka: rig.kafka, topic }),
    'HTTP, by any broker': overHttp({ http: rig.http, topic }),
  }
  const stalls = fork(join(import.meta.dirname, 'stalls-process.ts'))
  for (const mode of values.operator.split(',')) {
    await rig.operator(mode === 'on' ? 2 : 0)
    const who = mode === 'on' ? 'with the operator' : 'without the operator'
    await round('kill -9', Number(values.kills), who)
    if (mode === 'on')
      for (const deed of ['SIGSTOP', 'cable'] as const) await round(deed, Number(values.silent), who)
  }
  for (const client of Object.values(clients)) client.stop()
  stalls.disconnect()

  async function round(deed: Deed, times: number, who: string): Promise<void> {
    if (times === 0) return
    const all: Case[] = []
    for (let n = 1; n <= times; n++) {
      const one = await once(deed, clients, stalls)
      all.push(one)
      if (values.each) print(`${deed} ${n}: ${JSON.stringify(one, (_, value: unknown) => rounded(value))}`)
    }
    show(`${times} times ${deed} of a leader, ${who}`, all)
  }
}

function show(title: string, all: readonly Case[]): void {
  heading(title)
  const loads = all.map(({ load }) => load)
  print(
    `Load (1 minute): ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)} on ${cpus().length} cores.\n`,
  )
  const row = (name: string, of: (one: Case) => number): string[] => {
    const found = all.map(of)
    return [name, shown(median(found)), shown(Math.max(...found))]
  }
  table(
    ['ms', 'median', 'worst'],
    [
      ...Object.keys(all[0]?.pauses ?? {}).map(name =>
        row(`last acknowledgement to the next, ${name}`, one => one.pauses[name] ?? NaN),
      ),
      row('until another broker leads, as others see it', ({ ledMs }) => ledMs),
      row('the machine let another process wait', ({ stallMs }) => stallMs),
      row('until all three are in sync again', ({ backMs }) => backMs),
      row('writes of TabletSlices by then', ({ sliceWrites }) => sliceWrites),
    ],
  )
}

async function once(
  deed: Deed,
  clients: Readonly<Record<string, Client>>,
  stalls: ChildProcess,
): Promise<Case> {
  const [tablet] = await rig.allInSync(topic)
  for (const client of Object.values(clients)) await client.renew?.()
  await passed(500 + Math.random() * 1_000)
  const leader = tablet?.leader ?? 0
  const [pid, machine] = await Promise.all([rig.brokers.processOf(leader), rig.brokers.machineOf(leader)])
  const load = loadavg()[0] ?? NaN
  const atMs = Date.now()
  if (deed === 'cable') await connected(machine, false)
  else process.kill(pid, deed === 'kill -9' ? 'SIGKILL' : 'SIGSTOP')
  await rig.until(topic, ([now]) => now !== undefined && now.leader !== leader && now.leader !== null, leader)
  const ledMs = Date.now() - atMs
  const found: [string, number][] = []
  for (const [name, client] of Object.entries(clients)) {
    // What was sent to who is silent, a client gives up by its own time-out, of 30 to 60 s.
    if (deed !== 'kill -9' && !client.asksAnew) continue
    // The pause has ended once there is an acknowledgement from after it.
    const pauseMs = await client.pauseSince(atMs + ledMs)
    found.push([name, Math.max(pauseMs, await client.pauseSince(atMs))])
  }
  const stallMs = await asked<number>(stalls, atMs)
  if (deed === 'cable') await connected(machine, true)
  else if (deed === 'SIGSTOP') process.kill(pid, 'SIGCONT')
  await rig.allInSync(topic)
  const backMs = Date.now() - atMs
  const sliceWrites = rig.sliceWrites(atMs)
  // Its own connections to who leads next are then never those to one that was killed: from these librdkafka stays away for up to 10 s.
  await rig.until(topic, ([now]) => now?.leader === leader)
  return { ledMs, pauses: Object.fromEntries(found), stallMs, backMs, sliceWrites, load }
}

async function manyTablets(tablets: number): Promise<void> {
  const many = 'many'
  await rig.createTopic(many, tablets)
  const rows: string[][] = []
  for (let round = 0; round < 3; round++) {
    const before = await rig.allInSync(many)
    const victim = before[0]?.leader ?? 0
    const led = before.filter(({ leader }) => leader === victim).length
    const pid = await rig.brokers.processOf(victim)
    const load = loadavg()[0]?.toFixed(1) ?? ''
    const beganMs = Date.now()
    process.kill(pid, 'SIGKILL')
    await rig.until(many, now => now.every(({ leader }) => leader !== null && leader !== victim), victim)
    const ledMs = Date.now() - beganMs
    const claimed = rig.sliceWrites(beganMs)
    await rig.allInSync(many)
    const backMs = Date.now() - beganMs
    rows.push([
      String(led),
      shown(ledMs),
      String(claimed),
      shown(backMs),
      String(rig.sliceWrites(beganMs)),
      load,
    ])
  }
  heading(`A broker that leads many of ${tablets} tablets is killed`)
  table(
    ['tablets led', 'ms until led again', 'API writes', 'ms until all in sync', 'writes by then', 'load'],
    rows,
  )
}
