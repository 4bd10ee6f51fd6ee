/** Consumers that read from followers: they see no step back and no skip, whatever happens, and nobody is served for ever by who is cut off. */
import { expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { batchOf } from '../../broker/log/log.fixture.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { append } from './broker.ts'
import { complaintsOf } from './checker.ts'
import { SimCluster } from './cluster.ts'
import { ClusterHistory } from './cluster-history.ts'

const histories = Number(process.env['STELE_HISTORIES'] ?? 5)
const firstSeed = Number(process.env['STELE_SEED'] ?? 22)

test(`${histories} histories with readers at followers`, { timeout: 3_600_000 }, async () => {
  let copied = 0
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
    const history = new ClusterHistory({ seed, near: true })
    const about = () =>
      `repeat with: STELE_SEED=${seed} STELE_HISTORIES=1 npx vitest run --project unit test/sim/nearest.test.ts\n${history.deeds.join('\n')}`
    try {
      await history.live()
    } catch (cause) {
      throw new Error(about(), { cause })
    }
    const complaints = complaintsOf(history.told)
    if (complaints.length > 0) throw new Error(`${complaints.join('\n')}\n${about()}`)
    copied += history.copied
  }
  expect(copied).toBeGreaterThan(histories * 20)
})

async function two(seed: number) {
  const cluster = new SimCluster({ seed, brokers: 2, lagMsMax: 3_000 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t')
  const of = (role: Tablet['role']): Tablet => {
    const found = cluster.replicas(topic.id).find(({ tablet }) => tablet.role === role)
    if (found === undefined) throw new Error(`nobody is ${role}`)
    return found.tablet
  }
  const inSync = () => cluster.control.state.topicsById.get(topic.id)?.tablets[0]?.isr.length === 2
  await cluster.until(() => inSync() && cluster.leader(topic.id) !== undefined)
  const write = (value: string) =>
    cluster.clock.finish(append(of('leader'), batchOf({ value: value.padEnd(20) }), -1))
  return { cluster, topic, of, write, inSync }
}

test('who is read from knows of a high watermark as soon as it moves', async () => {
  const { cluster, of, write } = await two(1)
  const waits: number[] = []
  for (const isRead of [false, true]) {
    await write('a')
    await cluster.until(() => of('follower').copy !== undefined)
    if (isRead) of('follower').copy?.noteReader()
    await cluster.run(700)
    await write('b')
    const sinceMs = cluster.clock.monotonicMs()
    await cluster.until(() => of('follower').highWatermark === of('leader').highWatermark)
    waits.push(cluster.clock.monotonicMs() - sinceMs)
  }
  const [unread = 0, read = Infinity] = waits
  expect(read).toBeLessThan(10)
  expect(unread).toBeGreaterThan(100)
})

test('a follower that is cut off serves what it has for a while, then no more, and again when it is back', async () => {
  const { cluster, of, write, inSync } = await two(2)
  await write('a')
  await cluster.until(() => of('follower').highWatermark === 1)
  const follower = of('follower')
  const leader = of('leader')
  expect(leader.led?.readableAt(offset(1))).toHaveLength(1)
  const [one, other] = cluster.nodes
  cluster.shared.network.cut(one?.host ?? '', other?.host ?? '')
  await cluster.run(2_000)
  expect(follower.copy).toBeDefined()
  // The leader sends nobody there any more.
  expect(leader.led?.readableAt(offset(1))).toEqual([])
  await cluster.run(2_000)
  expect(follower.copy).toBeUndefined()
  cluster.shared.network.heal()
  await cluster.until(() => inSync() && of('follower').copy !== undefined)
  await write('b')
  await cluster.until(() => of('follower').highWatermark === 2)
  const batches = await of('follower').copy?.read(offset(1), 1_000, true)
  expect(batches?.bytes).toBeGreaterThan(0)
  batches?.release()
})

test('a follower that is cut off together with its leader serves no longer than that', async () => {
  const cluster = new SimCluster({ seed: 4, brokers: 3, lagMsMax: 1_000 })
  await cluster.startAll()
  const topic = await cluster.makeTopic('t')
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  await cluster.run(1_000)
  const { leader } = cluster.leader(topic.id) ?? {}
  const [follower, third] = cluster.nodes.filter(({ id }) => id !== leader)
  for (const { id, host } of cluster.nodes) {
    if (id === third?.id) continue
    cluster.control.cutOff(id)
    cluster.shared.network.cut(host, third?.host ?? '')
  }
  const copy = () => cluster.replicas(topic.id).find(({ node }) => node === follower)?.tablet.copy
  expect(copy()).toBeDefined()
  await cluster.until(() => cluster.leader(topic.id)?.leader === third?.id)
  await cluster.run(5_000)
  for (let n = 0; n < 100; n++) {
    expect(copy()).toBeUndefined()
    await cluster.run(50)
  }
  cluster.shared.network.heal()
  cluster.control.heal()
  await cluster.until(() => copy()?.epoch === cluster.leader(topic.id)?.epoch)
})

test('who begins to follow serves when the leader has answered, and in a new epoch only then', async () => {
  const { cluster, of, write, topic } = await two(3)
  await write('a')
  await cluster.until(() => of('follower').copy !== undefined)
  const before = of('follower').copy
  const [one] = cluster.nodes.filter(({ id }) => id === of('leader').leader)
  one?.kill()
  await cluster.until(() => cluster.leader(topic.id)?.epoch === 1)
  await expect(async () => before?.read(offset(0), 1_000, true)).rejects.toMatchObject({
    code: 'NOT_LEADER_OR_FOLLOWER',
  })
  one?.start()
  await cluster.until(() => cluster.nodes.every(({ runs }) => runs) && of('follower').copy !== undefined)
  expect(of('follower').copy?.epoch).toBe(of('leader').epoch)
})
