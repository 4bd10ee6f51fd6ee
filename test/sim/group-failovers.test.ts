/** Coordinators that move with the leaders of `__consumer_offsets`: what they have acknowledged is known to whoever comes after them. */
import { expect, test } from 'vitest'
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import type { Groups } from '../../broker/groups/groups.ts'
import { nobody } from '../../broker/groups/groups.fixture.ts'
import { offsetsTopic } from '../../control/model.ts'
import { repeat } from '../histories/lives.ts'
import { SimCluster, type SimNode } from './cluster.ts'
import { FailoverHistory, handOver } from './failover-history.ts'

const histories = Number(process.env['STELE_HISTORIES'] ?? 20)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)

async function live(seed: number): Promise<FailoverHistory> {
  const history = new FailoverHistory(seed)
  try {
    await history.live()
    return history
  } catch (cause) {
    throw new Error(`repeat with: ${repeat(seed)}\n${history.deeds.join('\n')}`, { cause })
  }
}

test(
  `in ${histories} histories nothing acknowledged is lost when groups move`,
  { timeout: 3_600_000 },
  async () => {
    const seen = { acknowledged: 0, generations: 0, epochs: 0 }
    const codes = new Set<RefusalCode>()
    for (let seed = firstSeed; seed < firstSeed + histories; seed++) {
      for (const witness of (await live(seed)).witnesses.values()) {
        seen.acknowledged += witness.acknowledged
        seen.generations += witness.generations
        seen.epochs += witness.epochs.size
        for (const code of witness.codes.keys()) codes.add(code)
      }
    }
    expect(seen.acknowledged).toBeGreaterThan(histories * 100)
    expect(seen.epochs).toBeGreaterThan(histories * 4)
    expect(seen.generations).toBeGreaterThan(histories * 3)
    expect([...codes]).toEqual(expect.arrayContaining(['COORDINATOR_LOAD_IN_PROGRESS', 'NOT_COORDINATOR']))
  },
)

/** Three brokers with one tablet for all groups, and a topic to commit for. */
async function three(seed: number) {
  const settings = { 'offsets.topic.num.partitions': '1', 'offsets.topic.replication.factor': '3' }
  const cluster = new SimCluster({
    seed,
    brokers: 3,
    settings: { ...settings, 'min.insync.replicas': '2', 'group.initial.rebalance.delay.ms': '0' },
    lagMsMax: 600,
  })
  await cluster.startAll()
  await cluster.makeTopic('t')
  await cluster.clock.finish(groupsOf(cluster.nodes[0]).ensureTopic())
  await cluster.until(() => refusalAt(coordinator(cluster)) === undefined)
  return cluster
}

function groupsOf(node: SimNode | undefined): Groups {
  if (node?.broker === undefined) throw new Error('it does not run')
  return node.broker.router.groups
}

/** Who coordinates, as the control store has it. */
function coordinator({ control, nodes }: SimCluster): SimNode {
  const leader = control.state.topics.get(offsetsTopic)?.tablets[0]?.leader
  const node = nodes.find(({ id }) => id === leader)
  if (node === undefined) throw new Error('nobody coordinates')
  return node
}

function refusalAt(node: SimNode): RefusalCode | undefined {
  try {
    groupsOf(node).of('g')
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error.code
    throw error
  }
}

const tabletAt = (node: SimNode) => node.broker?.tablets.find(offsetsTopic, 0)

const commitAt = (node: SimNode, offset: number, speaker = nobody) => {
  const value = { offset, leaderEpoch: 0, metadata: '', commitTimestamp: 0, expireTimestamp: -1 }
  return groupsOf(node)
    .of('g')
    .commit('g', speaker, [{ topic: 't', partition: 0, value }])
}

const committedAt = (node: SimNode): number | undefined =>
  groupsOf(node).of('g').find('g')?.offsets.get('t', 0)?.offset

test('a coordinator that is cut off acknowledges nothing, and after a while it answers nothing', async () => {
  const cluster = await three(1)
  const old = coordinator(cluster)
  expect(await cluster.clock.finish(commitAt(old, 1))).toBeUndefined()
  for (const node of cluster.nodes) if (node !== old) cluster.shared.network.cut(old.host, node.host)
  cluster.control.cutOff(old.id)
  const committing = commitAt(old, 2)
  await cluster.until(() => coordinator(cluster) !== old && refusalAt(coordinator(cluster)) === undefined)
  expect(committedAt(coordinator(cluster))).toBe(1)
  await cluster.until(() => refusalAt(old) === 'NOT_COORDINATOR')
  // Nobody has told it.
  expect(tabletAt(old)?.role).toBe('leader')
  expect(await cluster.clock.finish(commitAt(coordinator(cluster), 3))).toBeUndefined()
  cluster.shared.network.heal()
  cluster.control.heal()
  expect(await cluster.clock.finish(committing)).toBe('COORDINATOR_NOT_AVAILABLE')
  await cluster.until(() => cluster.nodes.every(node => tabletAt(node)?.logEnd === 2))
  expect(committedAt(coordinator(cluster))).toBe(3)
})

test('a group moves with its tablet, and its members go on in the same generation', async () => {
  const cluster = await three(2)
  const old = coordinator(cluster)
  const join = (node: SimNode) =>
    groupsOf(node)
      .of('g')
      .join('g', {
        memberId: '',
        instanceId: null,
        clientId: 'c',
        clientHost: '/127.0.0.1',
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 10_000,
        protocolType: 'consumer',
        protocols: [{ name: 'a', metadata: Buffer.alloc(0) }],
        idFirst: false,
        maySkipAssignment: false,
      })
  const joined = await cluster.clock.finish(join(old))
  if (joined.refused !== undefined) throw new Error(joined.refused)
  const { memberId, generation } = joined
  const speaker = { memberId, generation, instanceId: null }
  const shares = new Map([[memberId, Buffer.from('all')]])
  const sync = (node: SimNode) =>
    groupsOf(node)
      .of('g')
      .sync('g', { ...speaker, protocolType: null, protocol: null, assignments: shares })
  expect(await cluster.clock.finish(sync(old))).toMatchObject({ assignment: Buffer.from('all') })
  expect(await cluster.clock.finish(commitAt(old, 7, speaker))).toBeUndefined()
  const waiting = join(old)
  handOver(cluster, 0)
  const heir = coordinator(cluster)
  expect(heir).not.toBe(old)
  await cluster.until(() => tabletAt(heir)?.role === 'leader')
  expect(refusalAt(heir)).toBe('COORDINATOR_LOAD_IN_PROGRESS')
  expect(await cluster.clock.finish(waiting)).toMatchObject({ refused: 'NOT_COORDINATOR' })
  expect(refusalAt(old)).toBe('NOT_COORDINATOR')
  await cluster.until(() => refusalAt(heir) === undefined)
  expect(committedAt(heir)).toBe(7)
  expect(groupsOf(heir).of('g').heartbeat('g', speaker)).toBeUndefined()
  expect(await cluster.clock.finish(commitAt(heir, 8, speaker))).toBeUndefined()
  for (const node of cluster.nodes)
    expect(await cluster.clock.finish(groupsOf(node).coordinatorId('g'))).toBe(heir.id)
})

test('committed offsets wait for as many brokers as are to hold them', async () => {
  const settings = { 'offsets.topic.num.partitions': '1', 'offsets.topic.replication.factor': '3' }
  const cluster = new SimCluster({ seed: 3, brokers: 3, settings })
  const [first] = cluster.nodes
  first?.start()
  await cluster.until(() => first?.runs === true)
  const made = () => cluster.clock.finish(groupsOf(first).ensureTopic())
  await expect(made()).rejects.toMatchObject({ code: 'COORDINATOR_NOT_AVAILABLE' })
  await cluster.startAll()
  await made()
  expect(cluster.control.state.topics.get(offsetsTopic)?.tablets[0]?.replicas).toHaveLength(3)
})
