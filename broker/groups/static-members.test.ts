import { expect, test } from 'vitest'
import { delayMs, joined, rebalanceMs, sessionMs, share, TestGroup } from './group.fixture.ts'
import type { Joined } from './group-messages.ts'
import { Group } from './group.ts'

const named = (n: number) => ({ instanceId: `i${n}` })

test('a static member that comes back gets its place again, and nobody else notices', async () => {
  const t = new TestGroup()
  const [leader, other] = (await t.stable(2, named)) as [Joined, Joined]
  const back = t.join({ instanceId: 'i1' })
  const member = joined(back)
  expect(member.memberId).not.toBe(other.memberId)
  expect(member).toMatchObject({ generation: 1, leader: leader.memberId, members: [] })
  expect(t.group.state).toBe('Stable')
  expect(t.heartbeat(leader, 'i0')).toBeUndefined()
  expect(share(t.sync(member, {}, 'i1'))).toBe(`share of ${other.memberId}`)
  expect(t.kept.at(-1)?.members.map(({ memberId }) => memberId)).toEqual([leader.memberId, member.memberId])
})

test('who is replaced is fenced off, whatever it asks', async () => {
  const t = new TestGroup()
  const [, old] = (await t.stable(2, named)) as [Joined, Joined]
  t.join({ instanceId: 'i1' })
  expect(t.heartbeat(old, 'i1')).toBe('FENCED_INSTANCE_ID')
  expect(share(t.sync(old, {}, 'i1'))).toBe('FENCED_INSTANCE_ID')
  expect(t.join({ memberId: old.memberId, instanceId: 'i1' }).answer).toEqual({
    refused: 'FENCED_INSTANCE_ID',
    memberId: old.memberId,
  })
  expect(t.group.mayCommit({ ...old, instanceId: 'i1' })).toBe('FENCED_INSTANCE_ID')
  expect(t.group.leave([{ memberId: old.memberId, instanceId: 'i1' }])).toEqual(['FENCED_INSTANCE_ID'])
  expect(t.heartbeat(old)).toBe('UNKNOWN_MEMBER_ID')
})

test('two that join under one name: the second is in, the first is told', async () => {
  const t = new TestGroup()
  const first = t.join({ instanceId: 'same' })
  const second = t.join({ instanceId: 'same' })
  expect(first.answer).toMatchObject({ refused: 'FENCED_INSTANCE_ID' })
  await t.pass(2 * delayMs)
  expect(joined(second).members).toHaveLength(1)
})

test('a leader that comes back keeps leading without sharing out: by the flag, or by seeing the old leader', async () => {
  const t = new TestGroup()
  const [leader] = (await t.stable(2, named)) as [Joined, Joined]
  const back = joined(t.join({ instanceId: 'i0', maySkipAssignment: true }))
  expect(back).toMatchObject({ leader: back.memberId, skipAssignment: true, members: [{}, {}] })
  const older = joined(t.join({ instanceId: 'i0' }))
  expect(older).toMatchObject({ leader: back.memberId, skipAssignment: false, members: [] })
  expect(older.memberId).not.toBe(back.memberId)
  expect(share(t.sync(older, {}, 'i0'))).toBe(`share of ${leader.memberId}`)
})

test('one that comes back with another protocol makes the group share out anew', async () => {
  const t = new TestGroup()
  const both = ['range', 'sticky'].map(name => ({ name, metadata: Buffer.from(name) }))
  const [a] = (await t.stable(2, n => ({ ...named(n), protocols: both }))) as [Joined, Joined]
  const back = t.join({ instanceId: 'i1', protocols: both.slice(1) })
  expect(back.answer).toBeUndefined()
  expect(joined(t.join({ memberId: a.memberId, instanceId: 'i0', protocols: both })).protocol).toBe('sticky')
  expect(joined(back).generation).toBe(2)
})

test('one that comes back while shares are being made interrupts that: the leader knows the old id', async () => {
  const t = new TestGroup()
  const joining = [0, 1].map(n => t.join(named(n)))
  await t.pass(2 * delayMs)
  const [leader, other] = joining.map(joined) as [Joined, Joined]
  const waiting = t.sync(other, {}, 'i1')
  const back = t.join(named(1))
  expect(share(waiting)).toBe('FENCED_INSTANCE_ID')
  expect(t.heartbeat(leader, 'i0')).toBe('REBALANCE_IN_PROGRESS')
  t.join({ memberId: leader.memberId, ...named(0) })
  expect(joined(back).generation).toBe(2)
})

test('a place that could not be kept is refused, and the next try succeeds', async () => {
  const t = new TestGroup()
  await t.stable(1, named)
  t.undecided = []
  const back = t.join(named(0))
  t.undecided.shift()?.('NOT_COORDINATOR')
  expect(back.answer).toMatchObject({ refused: 'NOT_COORDINATOR' })
  t.undecided = undefined
  expect(joined(t.join(named(0))).generation).toBe(1)
})

test('a static member that does not join again stays, until its session ends', async () => {
  const t = new TestGroup()
  const long = 2 * rebalanceMs
  const [a, b] = (await t.stable(2, n => ({ ...named(n), sessionTimeoutMs: long }))) as [Joined, Joined]
  t.join({ ...named(2), sessionTimeoutMs: long })
  const back = t.join({ memberId: b.memberId, ...named(1), sessionTimeoutMs: long })
  await t.pass(rebalanceMs)
  const member = joined(back)
  expect(member).toMatchObject({ generation: 2, leader: b.memberId })
  expect(member.members.map(({ instanceId }) => instanceId)).toEqual(['i0', 'i1', 'i2'])
  expect(t.heartbeat({ ...a, generation: 2 }, 'i0')).toBeUndefined()
})

test('a static member is taken out by its name alone', async () => {
  const t = new TestGroup()
  await t.stable(2, named)
  expect(t.group.leave([{ memberId: '', instanceId: 'i1' }])).toEqual([undefined])
  expect([...t.group.members].map(({ instanceId }) => instanceId)).toEqual(['i0'])
})

test('only static members that are away: the group waits for them, and for their sessions', async () => {
  const t = new TestGroup()
  const members = await t.stable(2, n => ({ ...named(n), sessionTimeoutMs: 4 * rebalanceMs }))
  t.group.leave([{ memberId: '', instanceId: 'i1' }])
  await t.pass(2 * rebalanceMs)
  expect(t.group.state).toBe('PreparingRebalance')
  const back = t.join({ memberId: members[0]?.memberId ?? '', ...named(0) })
  expect(joined(back)).toMatchObject({ generation: 2 })
})

test('a group comes back from the log as it was: members, shares, generation, static names', async () => {
  const before = new TestGroup()
  const [a, b] = (await before.stable(2, named)) as [Joined, Joined]
  const stored = before.kept.at(-1)
  if (stored === undefined) throw new Error('nothing was kept')
  const t = new TestGroup()
  t.group = Group.restored('g', stored, t.around)
  t.group.begin()
  expect(t.group).toMatchObject({
    state: 'Stable',
    generation: 1,
    protocol: 'range',
    protocolType: 'consumer',
  })
  expect(t.heartbeat(a, 'i0')).toBeUndefined()
  expect(share(t.sync(b, {}, 'i1'))).toBe(`share of ${b.memberId}`)
  await t.pass(sessionMs - 1)
  expect(t.heartbeat(b, 'i1')).toBeUndefined()
  await t.pass(1)
  expect(t.heartbeat(a, 'i0'), 'it had its session time-out again, and no more').toBe('UNKNOWN_MEMBER_ID')
})

test('a damaged record of a group does no harm: of two with one id the first is taken', () => {
  const member = {
    memberId: 'm',
    groupInstanceId: 'i',
    clientId: '',
    clientHost: '',
    rebalanceTimeout: -1,
    sessionTimeout: 1000,
    subscription: Buffer.alloc(0),
    assignment: Buffer.alloc(0),
  }
  const t = new TestGroup()
  const members = [member, member, { ...member, memberId: 'n' }]
  const stored = {
    protocolType: '',
    generation: 3,
    protocol: null,
    leader: 'x',
    currentStateTimestamp: -1,
    members,
  }
  t.group = Group.restored('g', stored, t.around)
  t.group.begin()
  expect(t.group.members.size).toBe(1)
  expect(t.group.heartbeat({ memberId: 'm', instanceId: 'i', generation: 3 })).toBeUndefined()
})

test('a static member whose place could not be kept is watched all the same', async () => {
  const t = new TestGroup()
  await t.stable(1, named)
  t.undecided = []
  const back = t.join({ instanceId: 'i0', sessionTimeoutMs: sessionMs })
  // Its session ends while it waits for the answer.
  await t.pass(sessionMs + 1)
  t.undecided[0]?.('COORDINATOR_NOT_AVAILABLE')
  expect(back.answer).toMatchObject({ refused: 'COORDINATOR_NOT_AVAILABLE' })
  expect(t.group.members.size).toBe(1)
  await t.pass(sessionMs + 1)
  expect(t.group.members.size).toBe(0)
})

test('a static id may be empty, and is nobody else’s', async () => {
  const t = new TestGroup()
  const asked = ['', null, null].map(instanceId => ({ instanceId }))
  await t.stable(3, n => asked[n] ?? {})
  const stored = t.kept.at(-1)
  if (stored === undefined) throw new Error('nothing was kept')
  expect(Group.restored('g', stored, t.around).members.size).toBe(3)
})
