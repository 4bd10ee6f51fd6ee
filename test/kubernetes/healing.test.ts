/**
 * One cluster under load, to which one thing after the other happens; after each it becomes whole by itself. In the end the checker of the simulated
 * histories judges what producers were told, what a consumer has read and what the replicas hold. Breaks nodes, so it runs on the rig alone.
 */
import { Kafka, logLevel } from 'kafkajs'
import { setTimeout as passed } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Brokers } from './brokers.ts'
import { holds, isRig, Namespace, nodes, until } from './cluster.ts'
import { OwnedCluster } from './log-cluster.ts'
import { installOperator, removeOperator } from './operator.ts'
import { startLoad, type Load } from './recorded.ts'
import { startComponent } from './rig/control-plane.ts'
import { controlPlane, type Node } from './rig/layout.ts'
import { connected, crash, inside, remove } from './rig/machine.ts'
import { startNode } from './rig/node.ts'
import { programs } from './rig/rig.ts'
import { complaintsOf } from '../sim/checker.ts'
import { needs } from '../wire/tools.ts'

const namespace = new Namespace('stele-healing')
const owned = new OwnedCluster(namespace, 'healing')
const { change, converged, explain, seen } = owned
const topic = 'orders'
const tablets = 3
const ids = [0, 1, 2]
const brokers = new Brokers(namespace, 'healing', topic)

describe.runIf(isRig)('a cluster under load from two client libraries', () => {
  needs('kcat')
  let load: Load | undefined
  let kafka = ''

  beforeAll(async () => {
    await namespace.create()
    await installOperator()
    const config = { 'offsets.topic.num.partitions': 5, 'replica.lag.time.max.ms': 10_000 }
    await namespace.apply(
      owned.cluster({ storage: { size: '1Gi' }, config }),
      owned.topic(topic, tablets, { replication: 3, config: { 'min.insync.replicas': 2 } }),
    )
    await converged(3)
    await owned.topicReady(topic)
    await brokers.allInSync(explain)
    kafka = (await seen()).status?.externalBootstrap ?? ''
    load = await startLoad(kafka, topic, tablets)
  })
  afterAll(async () => {
    await namespace.remove()
    await removeOperator()
  })

  const running = (): Load => {
    if (load === undefined) throw new Error('there is no load')
    return load
  }

  /** Waits until the cluster is whole and all clients have gone on since, and says how long they waited at most. Answers what they gave up on. */
  async function healed(deed: string, sinceMs: number): Promise<readonly string[]> {
    await until(
      'all brokers ready',
      async () => (await Promise.all(ids.map(id => brokers.isReady(id)))).every(Boolean),
      {
        limitMs: 120_000,
        everyMs: 300,
        explain,
      },
    )
    await brokers.allInSync(explain)
    await goesOn()
    const pauses = Object.entries(running().pausesSince(sinceMs)).map(
      ([name, ms]) => `${name} ${Math.max(...ms)} ms`,
    )
    const tookS = ((Date.now() - sinceMs) / 1_000).toFixed(1)
    process.stdout.write(`${deed}: longest pause of ${pauses.join(', ')}; whole after ${tookS} s\n`)
    return running().errors
  }

  async function goesOn(): Promise<void> {
    const isGoing = running().sinceNow()
    await until('all clients to go on', async () => isGoing(), { limitMs: 60_000, explain: whatIsStuck })
  }

  const whatIsStuck = async (): Promise<string> =>
    JSON.stringify({ pauses: running().pausesSince(Date.now()), errors: running().errors.slice(0, 10) }) +
    (await explain().catch(String))

  /** Waits until none of the tablets counts on the broker. */
  const withoutIt = (id: number): Promise<void> =>
    until(
      `others to go on without broker ${id}`,
      async () => {
        const { tablets } = await brokers.look()
        return tablets.every(({ leader, isr }) => leader !== id && isr.every(({ broker }) => broker !== id))
      },
      { limitMs: 90_000, everyMs: 300, explain },
    )

  /** Waits until the broker runs anew. */
  async function anew(id: number, before: number | undefined): Promise<void> {
    const isAnew = async (): Promise<boolean> => (await brokers.look()).runs.get(id) !== before
    await until(`broker ${id} to run anew`, isAnew, { limitMs: 120_000, everyMs: 300, explain })
  }

  test('a leader is killed', async () => {
    const sinceMs = Date.now()
    const leader = await brokers.leaderOf(0)
    const { runs } = await brokers.look()
    await brokers.signal(leader, 'SIGKILL')
    await anew(leader, runs.get(leader))
    expect(await healed('kill -9', sinceMs)).toEqual([])
  })

  test('a leader is stopped for longer than its Lease lasts, and goes on', async () => {
    const sinceMs = Date.now()
    const leader = await brokers.leaderOf(1)
    await brokers.signal(leader, 'SIGSTOP')
    try {
      await withoutIt(leader)
      await goesOn()
    } finally {
      await brokers.signal(leader, 'SIGCONT')
    }
    expect(await healed('SIGSTOP', sinceMs)).toEqual([])
  })

  test('two nodes do not reach each other', async () => {
    const sinceMs = Date.now()
    const [one, other] = await Promise.all([brokers.machineOf(0), brokers.machineOf(1)])
    await apart(one, other, true)
    try {
      await until(
        'one of them to be out of sync',
        async () => (await brokers.look()).tablets.some(({ isr }) => isr.length < 3),
        { everyMs: 300, explain },
      )
      await goesOn()
    } finally {
      await apart(one, other, false)
    }
    expect(await healed('partition between two nodes', sinceMs)).toEqual([])
  })

  test('a node is cut off', async () => {
    const sinceMs = Date.now()
    const leader = await brokers.leaderOf(2)
    const machine = await brokers.machineOf(leader)
    await connected(machine, false)
    try {
      await withoutIt(leader)
      await goesOn()
    } finally {
      await connected(machine, true)
    }
    expect(await healed('cut cable', sinceMs)).toEqual([])
  })

  test('a node loses its power, and comes back', async () => {
    const sinceMs = Date.now()
    const leader = await brokers.leaderOf(0)
    const { runs } = await brokers.look()
    const machine = await brokers.machineOf(leader)
    await remove(machine)
    await withoutIt(leader)
    await goesOn()
    await startNode(machine, await programs())
    await until(`${machine.name} to be back`, () => isNodeReady(machine))
    await anew(leader, runs.get(leader))
    expect(await healed('node death', sinceMs)).toEqual([])
  })

  test('a volume comes back empty', async () => {
    const sinceMs = Date.now()
    const leader = await brokers.leaderOf(1)
    const { runs } = await brokers.look()
    await brokers.signal(leader, 'SIGSTOP')
    await brokers.wipe(leader)
    await brokers.signal(leader, 'SIGKILL')
    await anew(leader, runs.get(leader))
    expect(await healed('empty volume', sinceMs)).toEqual([])
  })

  test('a volume is deleted with its claim', async () => {
    const sinceMs = Date.now()
    const leader = await brokers.leaderOf(2)
    const { runs } = await brokers.look()
    const before = await brokers.volumeOf(leader)
    await namespace.kubectl('delete', 'pvc', brokers.claimOf(leader), '--wait=false')
    await namespace.kubectl('delete', 'pod', brokers.podOf(leader), '--wait=false', '--force')
    await until('another volume', async () => (await brokers.volumeOf(leader)) !== before, {
      limitMs: 120_000,
      everyMs: 300,
      explain,
    })
    await anew(leader, runs.get(leader))
    expect(await healed('deleted claim', sinceMs)).toEqual([])
  })

  test('a changed setting restarts all brokers', async () => {
    const sinceMs = Date.now()
    const { runs } = await brokers.look()
    await change({ config: { 'message.max.bytes': 2_000_000 } })
    for (const id of ids) await anew(id, runs.get(id))
    await converged(3)
    expect(await healed('rolling restart', sinceMs)).toEqual([])
  })

  // The last one: nodes try again ever more rarely to hear of Services, and brokers that are restarted soon after it are not reached from outside for up to a minute.
  test('the API server is away for longer than Leases last', async () => {
    // One that is being given back in that very second has nobody until the API server is back.
    await until(
      'preferred leaders',
      async () => (await brokers.look()).tablets.every(({ leader, replicas }) => leader === replicas[0]),
      { limitMs: 90_000, everyMs: 300, explain },
    )
    const sinceMs = Date.now()
    const before = (await brokers.look()).tablets
    await crash(controlPlane, 'kube-apiserver')
    try {
      // Nothing is to happen meanwhile, so there is nothing to wait for but time.
      await passed(15_000)
      await goesOn()
    } finally {
      await startComponent('kube-apiserver', await programs())
    }
    expect(await healed('API server stopped', sinceMs)).toEqual([])
    await passed(3_000)
    const after = (await brokers.look()).tablets
    expect(after.map(({ epoch }) => epoch)).toEqual(before.map(({ epoch }) => epoch))
  })

  test('nothing that was acknowledged is lost, and nothing is there twice', async () => {
    const all = running()
    let ends: readonly number[] = []
    await all.stop(async () => (ends = await endsOf()))
    const holdings = await brokers.holdings(ids, ends)
    const acknowledged = all.history.filter(({ kind }) => kind === 'acknowledged').length
    process.stdout.write(`${acknowledged} writes acknowledged, tablets end at ${ends.join(', ')}\n`)
    expect(all.errors).toEqual([])
    expect(complaintsOf([...all.history, ...holdings])).toEqual([])
    expect(acknowledged).toBeGreaterThan(1_000)
  })

  async function endsOf(): Promise<number[]> {
    const admin = new Kafka({ brokers: kafka.split(','), logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    const offsets = await admin.fetchTopicOffsets(topic)
    await admin.disconnect()
    return offsets.toSorted((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
  }
})

/** What pods on these two machines send each other is lost, without a word, or is not any more. */
async function apart(one: Node, other: Node, lost: boolean): Promise<void> {
  for (const [machine, { pods, address }] of [
    [one, other],
    [other, one],
  ] as const)
    await inside(machine, [
      'ip',
      'route',
      'replace',
      ...(lost ? ['blackhole', pods] : [pods, 'via', address]),
    ])
}

const isNodeReady = async (node: Node): Promise<boolean> =>
  (await nodes()).some(
    ({ metadata, status }) => metadata.name === node.name && holds(status.conditions, 'Ready'),
  )
