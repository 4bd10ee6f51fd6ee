// How long do producers with default settings wait, with acks=all, while the operator restarts all brokers of a loaded cluster one after the other? In the
// Kubernetes of `make kubernetes`, which it brings up when it is not there; its clients are outside of it, one over HTTP goes to the pods.
import { fork } from 'node:child_process'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { asked, kafkajs, librdkafka, overHttp } from './failover-clients.ts'
import { heading, median, print, rounded, shown, table } from './measuring.ts'
import { RigCluster } from './rig-cluster.ts'

const topic = 'rolled'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    each: { type: 'boolean', default: false },
  },
})

type Round = {
  readonly pauses: Readonly<Record<string, number>>
  readonly stallMs: number
  readonly tookMs: number
  readonly load: number
}

const rig = await RigCluster.start(topic)
try {
  await rig.createTopic(topic, 3, { 'min.insync.replicas': '2' })
  const clients = {
    librdkafka: librdkafka({ kafka: rig.kafka, topic, anew: false }),
    kafkajs: kafkajs({ kafka: rig.kafka, topic }),
    'HTTP, by any broker': overHttp({ http: rig.http, topic }),
  }
  const stalls = fork(join(import.meta.dirname, 'stalls-process.ts'))
  const all: Round[] = []
  for (let n = 1; n <= Number(values.rounds); n++) {
    await rig.allInSync(topic)
    for (const client of Object.values(clients)) await client.pauseSince(Date.now())
    await passed(2_000)
    const load = loadavg()[0] ?? NaN
    const beganMs = Date.now()
    const watch = values.each ? follow(beganMs) : undefined
    await rig.restartAll(n)
    // Preferred leaders are back after five seconds: that pause counts too.
    await rig.until(topic, tablets => tablets.every(({ leader, isr }) => leader === 0 && isr.length === 3))
    const tookMs = Date.now() - beganMs
    const found: [string, number][] = []
    for (const [name, client] of Object.entries(clients)) {
      await client.pauseSince(Date.now())
      found.push([name, await client.pauseSince(beganMs)])
    }
    watch?.stop()
    const stallMs = await asked<number>(stalls, beganMs)
    const one = { pauses: Object.fromEntries(found), stallMs, tookMs, load }
    all.push(one)
    if (values.each) print(`${n}: ${JSON.stringify(one, (_, value: unknown) => rounded(value))}`)
  }
  for (const client of Object.values(clients)) client.stop()
  stalls.disconnect()
  show(all)
} finally {
  await rig.stop()
}
process.exit(0)

/** Prints who leads and who is in sync whenever that changes. */
function follow(beganMs: number): { stop(): void } {
  const running = { on: true }
  void (async () => {
    for (let before = ''; running.on; await passed(20)) {
      const now = JSON.stringify((await rig.tablets(topic)).map(({ leader, isr }) => [leader, isr]))
      if (now !== before) print(`  ${Date.now() - beganMs} ms: ${now}`)
      before = now
    }
  })()
  return { stop: () => void (running.on = false) }
}

function show(all: readonly Round[]): void {
  heading(`${all.length} rolling restarts of three brokers`)
  const loads = all.map(({ load }) => load)
  print(
    `Load (1 minute): ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)} on ${cpus().length} cores.\n`,
  )
  const row = (name: string, of: (one: Round) => number): string[] => {
    const found = all.map(of)
    return [name, shown(median(found)), shown(Math.max(...found))]
  }
  table(
    ['ms', 'median', 'worst'],
    [
      ...Object.keys(all[0]?.pauses ?? {}).map(name =>
        row(`longest pause between two acknowledgements, ${name}`, one => one.pauses[name] ?? NaN),
      ),
      row('the machine let another process wait', ({ stallMs }) => stallMs),
      row('until all have been restarted and lead what they prefer', ({ tookMs }) => tookMs),
    ],
  )
}
