import { expect, test } from 'vitest'
import { delayMs, joined, noBytes, rebalanceMs, sessionMs, share, TestGroup } from './group.fixture.ts'
import type { Joined } from './group-messages.ts'
import { Group } from './group.ts'
import { describedMembers } from './group-views.ts'

const protocols = (...names: string[]) =>
  names.map(name => ({ name, metadata: Buffer.from(`about ${name}`) }))

test('those who come within the delay are in the first generation together', async () => {
  const t = new TestGroup()
  const first = t.join()
  await t.pass(delayMs - 1)
  expect(first.answer).toBeUndefined()
  const second = t.join()
  await t.pass(delayMs)
  // Somebody came, so there was another delay; nobody came in that.
  await t.pass(1)
  const [a, b] = [joined(first), joined(second)]
  expect(a.generation).toBe(1)
  expect(b.generation).toBe(1)
  expect(a.leader).toBe(a.memberId)
  expect(b.leader).toBe(a.memberId)
  expect(a.members.map(({ memberId }) => memberId)).toEqual([a.memberId, b.memberId])
  expect(b.members).toEqual([])
  expect(t.group.state).toBe('CompletingRebalance')
})

test('one who comes alone waits for the delay and no longer', async () => {
  const t = new TestGroup()
  const alone = t.join()
  await t.pass(delayMs)
  expect(joined(alone).generation).toBe(1)
})

test('newcomers delay the first generation no longer than the rebalance time-out', async () => {
  const t = new TestGroup()
  const first = t.join({ rebalanceTimeoutMs: 5 * delayMs })
  for (let n = 0; n < 9 && first.answer === undefined; n++) {
    t.join({ rebalanceTimeoutMs: 5 * delayMs })
    await t.pass(delayMs)
  }
  expect(joined(first).members.length).toBeLessThanOrEqual(7)
  expect(t.sim.clock.monotonicMs()).toBeLessThanOrEqual(7 * delayMs)
})

test('shares are handed out once they are kept, to who asked before and after the leader', async () => {
  const t = new TestGroup()
  t.undecided = []
  const joining = [t.join(), t.join(), t.join()]
  await t.pass(2 * delayMs)
  const [leader, early, late] = joining.map(joined) as [Joined, Joined, Joined]
  const earlyShare = t.sync(early)
  const leaderShare = t.sync(leader, { [leader.memberId]: 'L', [early.memberId]: 'E', [late.memberId]: 'T' })
  expect([earlyShare.answer, leaderShare.answer, t.group.state]).toEqual([
    undefined,
    undefined,
    'CompletingRebalance',
  ])
  t.undecided.shift()?.(undefined)
  expect([share(earlyShare), share(leaderShare), t.group.state]).toEqual(['E', 'L', 'Stable'])
  expect(share(t.sync(late))).toBe('T')
  expect(t.kept).toHaveLength(1)
  expect(t.kept[0]).toMatchObject({
    generation: 1,
    protocolType: 'consumer',
    protocol: 'range',
    leader: leader.memberId,
    members: [
      { assignment: Buffer.from('L') },
      { assignment: Buffer.from('E') },
      { assignment: Buffer.from('T') },
    ],
  })
})

test('who is not mentioned by the leader gets an empty share', async () => {
  const t = new TestGroup()
  const joining = [t.join(), t.join()]
  await t.pass(2 * delayMs)
  const [leader, other] = joining.map(joined) as [Joined, Joined]
  t.sync(leader, { stranger: 'S' })
  expect(share(t.sync(other))).toBe('')
})

test('shares that could not be kept are not handed out, and the group shares out anew', async () => {
  const t = new TestGroup()
  t.undecided = []
  const joining = [t.join(), t.join()]
  await t.pass(2 * delayMs)
  const [leader, other] = joining.map(joined) as [Joined, Joined]
  const waiting = [t.sync(other), t.sync(leader, {})]
  t.undecided.shift()?.('NOT_COORDINATOR')
  expect(waiting.map(share)).toEqual(['NOT_COORDINATOR', 'NOT_COORDINATOR'])
  expect(t.group.state).toBe('PreparingRebalance')
  expect(t.heartbeat(other)).toBe('REBALANCE_IN_PROGRESS')
})

test('what was kept for a generation that is over changes nothing', async () => {
  const t = new TestGroup()
  t.undecided = []
  const first = t.join()
  await t.pass(delayMs)
  const leader = joined(first)
  const old = t.sync(leader, { [leader.memberId]: 'old' })
  t.join()
  expect(share(old)).toBe('REBALANCE_IN_PROGRESS')
  const again = t.join({ memberId: leader.memberId })
  expect(joined(again).generation).toBe(2)
  t.undecided.shift()?.(undefined)
  expect(t.group.state).toBe('CompletingRebalance')
  expect(describedMembers(t.group).map(({ assignment }) => assignment)).toEqual([noBytes, noBytes])
})

test('a third member makes the others join again, and all get the next generation', async () => {
  const t = new TestGroup()
  const [a, b] = (await t.stable(2)) as [Joined, Joined]
  expect(t.group.state).toBe('Stable')
  expect(t.heartbeat(a)).toBeUndefined()
  const third = t.join()
  expect(t.heartbeat(a)).toBe('REBALANCE_IN_PROGRESS')
  const again = [t.join({ memberId: a.memberId }), t.join({ memberId: b.memberId })]
  expect(again.map(heard => joined(heard).generation)).toEqual([2, 2])
  expect(joined(third)).toMatchObject({ generation: 2, leader: a.memberId })
  expect(t.heartbeat(a)).toBe('ILLEGAL_GENERATION')
  expect(share(t.sync(a))).toBe('ILLEGAL_GENERATION')
})

test('who does not join again within the rebalance time-out is out', async () => {
  const t = new TestGroup()
  const [a, b] = (await t.stable(2, () => ({ sessionTimeoutMs: 3 * rebalanceMs }))) as [Joined, Joined]
  const third = t.join()
  const again = t.join({ memberId: b.memberId })
  await t.pass(rebalanceMs - 1)
  expect(again.answer).toBeUndefined()
  await t.pass(1)
  expect(joined(again)).toMatchObject({ generation: 2, leader: b.memberId })
  expect(joined(third).leader).toBe(b.memberId)
  expect(t.heartbeat(a)).toBe('UNKNOWN_MEMBER_ID')
})

test('who is silent for the session time-out is out, and heartbeats put that off', async () => {
  const t = new TestGroup()
  const [a, b] = (await t.stable(2)) as [Joined, Joined]
  await t.pass(sessionMs - 1)
  expect([t.heartbeat(a), t.heartbeat(b)]).toEqual([undefined, undefined])
  await t.pass(sessionMs - 1)
  expect(t.heartbeat(b)).toBeUndefined()
  expect(t.group.state).toBe('Stable')
  await t.pass(1)
  expect(t.heartbeat(a)).toBe('UNKNOWN_MEMBER_ID')
  expect(t.heartbeat(b)).toBe('REBALANCE_IN_PROGRESS')
  expect(joined(t.join({ memberId: b.memberId }))).toMatchObject({ generation: 2, leader: b.memberId })
})

test('members that joined and never ask for their share are out after the rebalance time-out', async () => {
  const t = new TestGroup()
  const joining = [t.join(), t.join()]
  await t.pass(2 * delayMs)
  const [leader, mute] = joining.map(joined) as [Joined, Joined]
  t.sync(leader, {})
  for (let ms = 0; ms < rebalanceMs; ms += 5_000) {
    await t.pass(5_000)
    t.heartbeat(mute)
    t.heartbeat(leader)
  }
  expect(t.heartbeat(mute)).toBe('UNKNOWN_MEMBER_ID')
  expect(t.heartbeat(leader)).toBe('REBALANCE_IN_PROGRESS')
})

test('a leader that is lost before it shared out does not hold up the others', async () => {
  const t = new TestGroup()
  const joining = [t.join(), t.join()]
  await t.pass(2 * delayMs)
  const other = joined(joining[1] ?? t.join())
  const waiting = t.sync(other)
  await t.pass(sessionMs)
  expect(share(waiting)).toBe('REBALANCE_IN_PROGRESS')
  expect(joined(t.join({ memberId: other.memberId }))).toMatchObject({
    leader: other.memberId,
    generation: 2,
  })
})

test('a new member is told its id first when it can be (KIP-394), and is out when it never comes back', async () => {
  const t = new TestGroup()
  const first = t.join({ idFirst: true })
  expect(first.answer).toMatchObject({ refused: 'MEMBER_ID_REQUIRED' })
  const { memberId } = first.answer ?? { memberId: '' }
  expect(memberId).toMatch(/^c-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  const again = t.join({ memberId, idFirst: true })
  await t.pass(delayMs)
  const leader = joined(again)
  expect(leader.memberId).toBe(memberId)

  t.sync(leader, {})
  const lost = t.join({ idFirst: true }).answer?.memberId ?? ''
  const late = t.join({ memberId, protocols: protocols('range') })
  expect(late.answer).toBeUndefined()
  // It is waited for, but not longer than its own session time-out.
  await t.pass(sessionMs)
  expect(joined(late).generation).toBe(2)
  expect(t.join({ memberId: lost }).answer).toMatchObject({ refused: 'UNKNOWN_MEMBER_ID', memberId: lost })
})

test('an id that was given out can be given back', () => {
  const t = new TestGroup()
  const { memberId } = t.join({ idFirst: true }).answer ?? { memberId: '' }
  expect(t.group.unused).toBe(false)
  expect(t.group.leave([{ memberId, instanceId: null }])).toEqual([undefined])
  expect(t.group.unused).toBe(true)
  expect(t.join({ memberId }).answer).toMatchObject({ refused: 'UNKNOWN_MEMBER_ID' })
})

test('the protocol that all know and most like best is chosen', async () => {
  const t = new TestGroup()
  const joining = [
    t.join({ protocols: protocols('mine', 'sticky', 'range') }),
    t.join({ protocols: protocols('range', 'sticky') }),
    t.join({ protocols: protocols('range', 'sticky', 'other') }),
  ]
  await t.pass(2 * delayMs)
  const [leader] = joining.map(joined)
  expect(leader?.protocol).toBe('range')
  expect(leader?.members.map(({ metadata }) => metadata.toString())).toEqual(Array(3).fill('about range'))
})

test('protocols that fit nobody are refused, and so are those of another kind', async () => {
  const t = new TestGroup()
  expect(t.join({ protocols: [] }).answer).toMatchObject({ refused: 'INCONSISTENT_GROUP_PROTOCOL' })
  expect(t.join({ protocolType: '' }).answer).toMatchObject({ refused: 'INCONSISTENT_GROUP_PROTOCOL' })
  const [a] = await t.stable(1)
  expect(t.join({ protocols: protocols('other') }).answer).toMatchObject({
    refused: 'INCONSISTENT_GROUP_PROTOCOL',
  })
  expect(t.join({ protocolType: 'connect' }).answer).toMatchObject({ refused: 'INCONSISTENT_GROUP_PROTOCOL' })
  expect(t.group.state).toBe('Stable')
  const wrong = { memberId: a?.memberId ?? '', instanceId: null, generation: 1, assignments: new Map() }
  for (const [protocolType, protocol] of [
    ['connect', 'range'],
    ['consumer', 'sticky'],
  ] as const) {
    t.group.sync({ ...wrong, protocolType, protocol }, answer =>
      expect(answer).toEqual({ refused: 'INCONSISTENT_GROUP_PROTOCOL' }),
    )
  }
})

test('a follower that joins again unchanged stays, a leader or a changed member shares out anew', async () => {
  const t = new TestGroup()
  const same = { protocols: protocols('range') }
  const [leader, follower] = (await t.stable(2, () => same)) as [Joined, Joined]
  expect(joined(t.join({ ...same, memberId: follower.memberId }))).toMatchObject({
    generation: 1,
    members: [],
  })
  expect(t.group.state).toBe('Stable')
  t.join({
    protocols: [{ name: 'range', metadata: Buffer.from('more topics') }],
    memberId: follower.memberId,
  })
  expect(t.group.state).toBe('PreparingRebalance')
  expect(joined(t.join({ ...same, memberId: leader.memberId })).generation).toBe(2)
  // The answer was lost: in the generation that has just begun it is given again.
  expect(joined(t.join({ ...same, memberId: leader.memberId }))).toMatchObject({
    generation: 2,
    members: [{}, {}],
  })
})

test('members leave, alone or together, and an empty group is kept with its generation', async () => {
  const t = new TestGroup()
  const [a, b] = (await t.stable(2)) as [Joined, Joined]
  const codes = t.group.leave([
    { memberId: a.memberId, instanceId: null },
    { memberId: 'stranger', instanceId: null },
    { memberId: '', instanceId: 'stranger' },
    { memberId: b.memberId, instanceId: null },
  ])
  expect(codes).toEqual([undefined, 'UNKNOWN_MEMBER_ID', 'UNKNOWN_MEMBER_ID', undefined])
  expect(t.group.state).toBe('Empty')
  expect(t.kept.at(-1)).toMatchObject({
    generation: 2,
    protocolType: 'consumer',
    protocol: null,
    members: [],
  })
  const next = t.join()
  await t.pass(delayMs)
  expect(joined(next).generation).toBe(3)
})

test('a request sent again on another connection takes the place of the first', async () => {
  const t = new TestGroup()
  const [a, b] = (await t.stable(2)) as [Joined, Joined]
  t.join()
  const lost = t.join({ memberId: a.memberId })
  const again = t.join({ memberId: a.memberId })
  expect(lost.answer).toMatchObject({ refused: 'REBALANCE_IN_PROGRESS' })
  t.join({ memberId: b.memberId })
  const member = joined(again)
  t.undecided = []
  const lostSync = t.sync(member, {})
  const secondSync = t.sync(member, { [a.memberId]: 'A' })
  expect(share(lostSync)).toBe('REBALANCE_IN_PROGRESS')
  for (const decide of t.undecided.splice(0)) decide(undefined)
  expect(share(secondSync)).toBeDefined()
})

test('a group takes no more than group.max.size members', async () => {
  const t = new TestGroup({ sizeMax: 2 })
  const [a, b] = (await t.stable(2)) as [Joined, Joined]
  expect(t.join().answer).toMatchObject({ refused: 'GROUP_MAX_SIZE_REACHED' })
  expect(t.heartbeat(a)).toBeUndefined()
  expect(t.heartbeat(b)).toBeUndefined()
})

test('of a group that was allowed to be larger, the last to come back are out', async () => {
  const large = new TestGroup()
  const members = await large.stable(3)
  const t = new TestGroup({ sizeMax: 2 })
  const stored = large.kept.at(-1)
  if (stored === undefined) throw new Error('nothing was kept')
  t.group = Group.restored('g', stored, t.around)
  t.group.begin()
  expect(t.group.state).toBe('PreparingRebalance')
  const back = members.map(({ memberId }) => t.join({ memberId }))
  expect(back.map(heard => heard.answer?.refused ?? 'in')).toEqual(['in', 'in', 'GROUP_MAX_SIZE_REACHED'])
})

test('memory is bounded, and given back', async () => {
  const t = new TestGroup({ memoryBytes: 100_000 })
  expect(t.join({ protocols: [{ name: 'range', metadata: Buffer.alloc(100_000) }] }).answer).toMatchObject({
    refused: 'GROUP_MAX_SIZE_REACHED',
  })
  const members = await t.stable(3)
  const used = t.memory.usedBytes
  let refused: string | undefined
  while (refused !== 'GROUP_MAX_SIZE_REACHED') refused = t.join({ idFirst: true }).answer?.refused
  expect(t.memory.usedBytes).toBeLessThanOrEqual(100_000)
  await t.pass(sessionMs - 1)
  expect(t.memory.usedBytes).toBeGreaterThan(used)
  for (const member of members) t.heartbeat(member)
  await t.pass(1)
  expect(t.memory.usedBytes).toBe(used)
  t.group.end('NOT_COORDINATOR')
  expect(t.memory.usedBytes).toBe(0)
})

test('offsets are committed by members of this generation, and by anybody while there are none', async () => {
  const t = new TestGroup()
  const anybody = { memberId: '', instanceId: null, generation: -1 }
  expect(t.group.mayCommit(anybody)).toBeUndefined()
  expect(t.group.mayCommit({ ...anybody, memberId: 'x', generation: 3 })).toBe('UNKNOWN_MEMBER_ID')
  const joining = t.join()
  await t.pass(delayMs)
  const member = { ...joined(joining), instanceId: null }
  expect(t.group.mayCommit(member)).toBe('REBALANCE_IN_PROGRESS')
  t.sync(member, {})
  expect(t.group.mayCommit(member)).toBeUndefined()
  expect(t.group.mayCommit({ ...member, generation: 0 })).toBe('ILLEGAL_GENERATION')
  expect(t.group.mayCommit({ ...member, generation: -1 })).toBe('ILLEGAL_GENERATION')
  expect(t.group.mayCommit({ ...member, memberId: 'other' })).toBe('UNKNOWN_MEMBER_ID')
  expect(t.group.mayCommit({ ...member, instanceId: 'other' })).toBe('UNKNOWN_MEMBER_ID')
  expect(t.group.mayCommit(anybody)).toBe('UNKNOWN_MEMBER_ID')
  await t.pass(sessionMs - 1)
  expect(t.group.mayCommit(member)).toBeUndefined()
  await t.pass(sessionMs - 1)
  expect(t.heartbeat(member), 'a commit shows that a member lives').toBeUndefined()
})

test('a group that ends tells everybody, at once and from then on', async () => {
  const t = new TestGroup()
  const members = await t.stable(1)
  const waiting = t.join()
  t.group.end('NOT_COORDINATOR')
  expect(waiting.answer).toMatchObject({ refused: 'NOT_COORDINATOR' })
  const [member] = members as [Joined]
  expect(t.heartbeat(member)).toBe('COORDINATOR_NOT_AVAILABLE')
  expect(t.join().answer).toMatchObject({ refused: 'COORDINATOR_NOT_AVAILABLE' })
  expect(share(t.sync(member))).toBe('COORDINATOR_NOT_AVAILABLE')
  expect(t.group.leave([{ memberId: member.memberId, instanceId: null }])).toBe('COORDINATOR_NOT_AVAILABLE')
  expect(t.group.mayCommit({ ...member, instanceId: null })).toBe('COORDINATOR_NOT_AVAILABLE')
  await t.pass(10 * rebalanceMs)
})

test('a new member whose answer nobody waits for is not a member for ever', async () => {
  const t = new TestGroup()
  const members = await t.stable(1, () => ({ rebalanceTimeoutMs: 600_000, sessionTimeoutMs: 1_200_000 }))
  const gone = t.join({ rebalanceTimeoutMs: 600_000 })
  await t.pass(300_000)
  expect(gone.answer).toMatchObject({ refused: 'UNKNOWN_MEMBER_ID', memberId: '' })
  expect(t.group.members.size).toBe(members.length)
})
