import { expect, test } from 'vitest'
import { GroupMemory } from './group-memory.ts'
import { Group } from './group.ts'
import { delayMs, joined, TestGroup } from './group.fixture.ts'
import { nobody, SimGroups } from './groups.fixture.ts'

const memoryBytes = 1024 * 1024

const value = (metadata: string) => ({
  offset: 1,
  leaderEpoch: 0,
  metadata,
  commitTimestamp: 0,
  expireTimestamp: -1,
})

/** Groups until none fits any more, beside one with a member. */
async function full(bytes = memoryBytes) {
  const s = await SimGroups.start({ settings: { 'stele.group.memory.bytes': String(bytes) } })
  const member = await s.member('work')
  const speaker = { ...member, instanceId: null }
  await s.commit('work', { 0: 1 }, speaker)
  for (let n = 0; (await s.commit(`g${n}`, { 0: 1 })) === undefined; n++);
  const commit = (group: string, ...told: [partition: number, metadata: string][]) =>
    s.done(
      s.groups.of(group).commit(
        group,
        nobody,
        told.map(([partition, metadata]) => ({ topic: 't', partition, value: value(metadata) })),
      ),
    )
  return { s, member, speaker, commit }
}

test('when memory is full, text beside a known offset is refused like anything else that is new', async () => {
  const { s, speaker, commit } = await full()
  expect(await commit('g0', [0, 'm'.repeat(4_000)])).toBe('INVALID_COMMIT_OFFSET_SIZE')
  expect(s.groups.usedBytes).toBeLessThanOrEqual(memoryBytes)
  expect(await s.commit('work', { 0: 2 }, speaker)).toBeUndefined()
})

test('a place that is named twice gives its memory back once', async () => {
  const { s, commit } = await full()
  await s.done(s.groups.of('g1').delete('g1'))
  expect(await commit('g0', [0, 'm'.repeat(1_000)])).toBeUndefined()
  await s.commit('g1', { 0: 1 })
  const many: [number, string][] = Array.from({ length: 10 }, () => [0, ''])
  const rest: [number, string] = [1, 'm'.repeat(memoryBytes)]
  expect(await commit('g0', ...many, rest)).toBe('INVALID_COMMIT_OFFSET_SIZE')
  expect(await commit('g0', [0, ''], [1, 'm'.repeat(600)])).toBeUndefined()
})

test('beyond the bound, members and offsets that are there go on', async () => {
  const { s, member, speaker } = await full(2 * memoryBytes)
  s.groups.end()
  await s.done(s.broker.stop())
  // The next process may use less than there is.
  s.setting('stele.group.memory.bytes', String(memoryBytes))
  await s.boot()
  await s.loaded()
  expect(await s.commit('work', { 0: 3 }, speaker)).toBeUndefined()
  expect(s.groups.usedBytes).toBeGreaterThan(memoryBytes)
  expect((await s.member('work', { memberId: member.memberId })).generation).toBeGreaterThan(0)
  expect(await s.commit('new', { 0: 3 })).toBe('INVALID_COMMIT_OFFSET_SIZE')
  await expect(s.member('work')).rejects.toThrow('GROUP_MAX_SIZE_REACHED')
})

test('shares that take the place of others need no memory of their own', async () => {
  const t = new TestGroup({ memoryBytes: 20_000 })
  const share = 'x'.repeat(10_000)
  let [member] = await t.stable(1)
  for (let n = 0; n < 3; n++) {
    const { memberId = '' } = member ?? {}
    const again = t.join({ memberId })
    await t.pass(2 * delayMs)
    member = joined(again)
    expect(t.sync(member, { [memberId]: share }).answer).toMatchObject({ protocol: 'range' })
  }
  const { memberId = '' } = member ?? {}
  // A rebalance that begins before the shares are there takes nothing from them either.
  t.undecided = []
  t.join({ memberId })
  t.join({ memberId, protocols: [{ name: 'range', metadata: Buffer.from('other') }] })
  expect(t.memory.usedBytes).toBeGreaterThan(10_000)
})

test('ids that were given out are counted whole', () => {
  const t = new TestGroup()
  const clientId = 'c'.repeat(32_000)
  expect(t.join({ clientId, idFirst: true }).answer).toMatchObject({ refused: 'MEMBER_ID_REQUIRED' })
  expect(t.memory.usedBytes).toBeGreaterThan(32_000)
  t.group.end('COORDINATOR_NOT_AVAILABLE')
  expect(t.memory.usedBytes).toBe(0)
})

test('a member that changes what it says, and its name, gives back what it took', async () => {
  const t = new TestGroup()
  const [member] = await t.stable(1)
  const { memberId = '' } = member ?? {}
  const before = t.memory.usedBytes
  t.join({ memberId, clientId: 'c'.repeat(5_000) })
  expect(t.memory.usedBytes).toBe(before + 4_999)
  t.group.leave([{ memberId, instanceId: null }])
  expect(t.memory.usedBytes).toBe(0)
})

test('however full it is, a member may join again after a restart with all the protocols it knows', async () => {
  const t = new TestGroup()
  const protocols = ['range', 'cooperative-sticky'].map(name => ({ name, metadata: Buffer.alloc(500) }))
  const [member] = await t.stable(1, () => ({ protocols }))
  const stored = t.kept.at(-1)
  if (member === undefined || stored === undefined) throw new Error('there is no member')
  t.group = Group.restored('g', stored, { ...t.around, memory: new GroupMemory(1) })
  t.group.begin()
  const again = t.join({ memberId: member.memberId, protocols })
  await t.pass(2 * delayMs)
  expect(joined(again).generation).toBe(2)
})
