import { expect, test } from 'vitest'
import { offsetsTopic } from '../../control/model.ts'
import { nobody, SimGroups } from './groups.fixture.ts'
import { javaHash } from './groups.ts'

test('names are hashed as Java does', () => {
  expect(javaHash('')).toBe(0)
  expect(javaHash('hello')).toBe(99_162_322)
  expect(javaHash('polygenelubricants')).toBe(-(2 ** 31))
  expect(javaHash('Größe 日本')).toBe(239_310_454)
})

test('the topic is made once, compacted, when it is first needed', async () => {
  const s = await SimGroups.start()
  const topic = s.broker.store.topics().get(offsetsTopic)
  expect(topic?.settings).toMatchObject({ 'cleanup.policy': 'compact' })
  expect(topic?.tablets).toHaveLength(2)
  const asked = ['a', 'b', 'c'].map(group => s.groups.coordinatorId(group))
  expect(await s.done(Promise.all(asked))).toEqual([0, 0, 0])
  expect(s.broker.store.topics().get(offsetsTopic)?.id).toBe(topic?.id)
  // The hash whose absolute value Java cannot say belongs to the first.
  expect(s.groups.partitionOf('polygenelubricants')).toBe(0)
})

test('there is no coordinator before there is a topic, and none any more when the broker stops', async () => {
  const s = await SimGroups.start()
  const { id = '' } = s.broker.store.topics().get(offsetsTopic) ?? {}
  await s.done(s.broker.store.deleteTopic(offsetsTopic, id))
  await s.sim.clock.settle()
  expect(() => s.groups.of('g')).toThrow(expect.objectContaining({ code: 'NOT_COORDINATOR' }))
  expect([...s.groups.all()]).toEqual([])
  await s.done(s.groups.coordinatorId('g'))
  expect(await s.commit('g', { 0: 1 })).toBeUndefined()
  s.groups.end()
  expect(() => s.groups.of('g')).toThrow(expect.objectContaining({ code: 'COORDINATOR_NOT_AVAILABLE' }))
})

test('offsets and groups come back after a kill, a power cut and a clean stop', async () => {
  const s = await SimGroups.start()
  for (const [n, how] of (['kill', 'crash', 'stop'] as const).entries()) {
    const member = await s.member('g')
    const speaker = { ...member, instanceId: null }
    expect(await s.commit('g', { 0: 10 + n, 1: 20 + n }, speaker)).toBeUndefined()
    expect(await s.commit('simple', { 3: n })).toBeUndefined()
    await s.restart(how)
    expect(s.committed('g')).toEqual({ 't-0': 10 + n, 't-1': 20 + n })
    expect(s.committed('simple')).toEqual({ 't-3': n })
    const { group } = s.groups.of('g').find('g') ?? {}
    expect(group).toMatchObject({ state: 'Stable', generation: member.generation })
    // Its member goes on as if nothing had been, and the next generation is a new one.
    expect(s.groups.of('g').heartbeat('g', speaker)).toBeUndefined()
    s.groups.of('g').leave('g', [speaker])
    await s.sim.clock.runFor(100)
    expect(group).toMatchObject({ state: 'Empty', generation: member.generation + 1 })
  }
})

test('members that died with the broker have their session time-out to come back', async () => {
  const s = await SimGroups.start()
  const member = await s.member('g')
  await s.restart()
  await s.sim.clock.runFor(10_001)
  expect(s.groups.of('g').heartbeat('g', { ...member, instanceId: null })).toBe('UNKNOWN_MEMBER_ID')
  expect(s.groups.of('g').find('g')?.group.state).toBe('Empty')
})

test('requests are refused while groups are being loaded', async () => {
  const s = await SimGroups.start()
  for (let n = 0; n < 50; n++) await s.commit('g', { 0: n })
  s.sim.kill()
  await s.boot()
  expect(() => s.groups.of('g')).toThrow(expect.objectContaining({ code: 'COORDINATOR_LOAD_IN_PROGRESS' }))
  expect(() => [...s.groups.all()]).toThrow(expect.objectContaining({ code: 'COORDINATOR_LOAD_IN_PROGRESS' }))
  expect([...s.groups.loaded()]).toEqual([])
  await s.loaded()
  expect(s.committed('g')).toEqual({ 't-0': 49 })
})

test('a commit is answered when it is durable, and seen when it is answered', async () => {
  const s = await SimGroups.start()
  s.sim.disk.syncMs = { min: 100, max: 100 }
  let answered = false
  const committing = s.committing('g', { 0: 5 }).then(() => (answered = true))
  await s.sim.clock.runFor(99)
  expect(answered).toBe(false)
  expect(s.committed('g')).toEqual({})
  await s.done(committing)
  expect(s.committed('g')).toEqual({ 't-0': 5 })
})

test('a commit that takes too long is refused for now, and holds when it has arrived after all', async () => {
  const s = await SimGroups.start({ settings: { 'offsets.commit.timeout.ms': '50' } })
  s.sim.disk.syncMs = { min: 200, max: 200 }
  expect(await s.commit('g', { 0: 5 })).toBe('COORDINATOR_NOT_AVAILABLE')
  expect(s.committed('g')).toEqual({})
  await s.sim.clock.runFor(500)
  expect(s.committed('g')).toEqual({ 't-0': 5 })
})

test('a commit that could not be written changes nothing, and the next one holds', async () => {
  const s = await SimGroups.start()
  await s.commit('g', { 0: 1 })
  s.sim.disk.failNext('write', 'ENOSPC')
  expect(await s.commit('g', { 0: 2 })).toBe('NOT_COORDINATOR')
  expect(s.committed('g')).toEqual({ 't-0': 1 })
  expect(await s.commit('g', { 0: 3 })).toBeUndefined()
  await s.restart()
  expect(s.committed('g')).toEqual({ 't-0': 3 })
})

test('a disk that fails for good ends the coordinator, and members are told to look elsewhere', async () => {
  const s = await SimGroups.start()
  const member = await s.member('g')
  s.sim.disk.failShare('sync', 1, 'EIO')
  expect(await s.commit('g', { 0: 1 }, { ...member, instanceId: null })).toBe('NOT_COORDINATOR')
  expect(() => s.groups.of('g')).toThrow(expect.objectContaining({ code: 'NOT_COORDINATOR' }))
})

test('a group is deleted for good, with what was being committed to it', async () => {
  const s = await SimGroups.start()
  await s.commit('g', { 0: 1, 1: 1 })
  const committing = s.committing('g', { 2: 7 })
  const deleting = s.groups.of('g').delete('g')
  expect(s.groups.of('g').find('g'), 'nobody may use it from now on').toBeUndefined()
  expect(await s.commit('g', { 3: 9 })).toBe('COORDINATOR_NOT_AVAILABLE')
  expect(await s.done(committing)).toBeUndefined()
  expect(await s.done(deleting)).toBeUndefined()
  expect([...s.groups.all()]).toEqual([])
  await s.restart()
  expect([...s.groups.all()]).toEqual([])
  expect(await s.commit('g', { 0: 5 })).toBeUndefined()
  expect(s.committed('g')).toEqual({ 't-0': 5 })
  expect(s.groups.usedBytes).toBeGreaterThan(0)
})

test('a group with members is not deleted, nor one that is not there', async () => {
  const s = await SimGroups.start()
  await s.member('g')
  expect(await s.done(s.groups.of('g').delete('g'))).toBe('NON_EMPTY_GROUP')
  expect(await s.done(s.groups.of('x').delete('x'))).toBe('GROUP_ID_NOT_FOUND')
})

test('a group that could not be deleted is still there', async () => {
  const s = await SimGroups.start()
  const member = await s.member('g')
  await s.commit('g', { 0: 1 }, { ...member, instanceId: null })
  s.groups.of('g').leave('g', [{ ...member, instanceId: null }])
  await s.sim.clock.runFor(100)
  s.sim.disk.failNext('write', 'ENOSPC')
  expect(await s.done(s.groups.of('g').delete('g'))).toBe('NOT_COORDINATOR')
  expect(s.committed('g')).toEqual({ 't-0': 1 })
  expect(s.groups.of('g').find('g')?.group).toMatchObject({ state: 'Empty', generation: 2 })
  expect(await s.commit('g', { 0: 2 })).toBeUndefined()
})

test('offsets are deleted one by one, but not those of topics that are read', async () => {
  const s = await SimGroups.start()
  await s.makeTopic('u', 1)
  const member = await s.member('g')
  const speaker = { ...member, instanceId: null }
  await s.commit('g', { 0: 1 }, speaker)
  await s.commit('g', { 0: 1 }, speaker, 'u')
  const both = [
    { topic: 't', partition: 0 },
    { topic: 'u', partition: 0 },
  ]
  expect(await s.done(s.groups.of('g').deleteOffsets('g', both))).toEqual([
    'GROUP_SUBSCRIBED_TO_TOPIC',
    undefined,
  ])
  expect(s.committed('g')).toEqual({ 't-0': 1 })
  await s.restart()
  expect(s.committed('g')).toEqual({ 't-0': 1 })
  s.groups.of('g').leave('g', [speaker])
  expect(await s.done(s.groups.of('g').deleteOffsets('g', both))).toEqual([undefined, undefined])
  expect(s.committed('g')).toEqual({})
  await s.member('connect', { protocolType: 'connect' })
  expect(await s.done(s.groups.of('connect').deleteOffsets('connect', both))).toBe('NON_EMPTY_GROUP')
  expect(await s.done(s.groups.of('none').deleteOffsets('none', both))).toBe('GROUP_ID_NOT_FOUND')
})

test('offsets go with their topic, also those on their way, and those that were missed', async () => {
  const s = await SimGroups.start()
  await s.makeTopic('u', 2)
  await s.commit('g', { 0: 1 })
  await s.commit('g', { 0: 1 }, nobody, 'u')
  const late = s.committing('g', { 1: 1 }, nobody, 'u')
  await s.deleteTopic('u')
  await s.done(late)
  await s.sim.clock.runFor(1_000)
  expect(s.committed('g')).toEqual({ 't-0': 1 })

  await s.makeTopic('v', 1)
  await s.commit('g', { 0: 1 }, nobody, 'v')
  s.groups.end()
  await s.deleteTopic('v')
  await s.restart('crash')
  await s.sim.clock.runFor(1_000)
  expect(s.committed('g')).toEqual({ 't-0': 1 })
})

test('a commit that is still on its way when its topic has been deleted and made anew is not for the new one', async () => {
  const s = await SimGroups.start()
  await s.makeTopic('u', 2)
  s.sim.disk.syncMs = { min: 5_000, max: 5_000 }
  let answered = false
  const late = s.committing('g', { 0: 7, 1: 8 }, nobody, 'u').then(() => (answered = true))
  const beside = s.committing('g', { 0: 9 })
  await s.sim.clock.runFor(10)
  s.sim.disk.syncMs = { min: 1, max: 1 }
  const old = s.broker.store.topics().get('u')
  await s.deleteTopic('u')
  await s.makeTopic('u', 2)
  expect(s.broker.store.topics().get('u')?.id).not.toBe(old?.id)
  expect(answered, 'the commit outlives its topic').toBe(false)
  await s.done(Promise.all([late, beside]))
  await s.sim.clock.runFor(1_000)
  expect(s.committed('g')).toEqual({ 't-0': 9 })
  await s.restart('crash')
  expect(s.committed('g')).toEqual({ 't-0': 9 })
  // Who reads the new one commits as ever.
  await s.commit('g', { 1: 1 }, nobody, 'u')
  expect(s.committed('g')).toEqual({ 't-0': 9, 'u-1': 1 })
})

const minuteMs = 60_000

test('offsets of a group without members go when it was empty for long, and the group with them', async () => {
  const s = await SimGroups.start({ settings: { 'offsets.retention.minutes': '60' } })
  const member = await s.member('g')
  const speaker = { ...member, instanceId: null }
  await s.commit('g', { 0: 1 }, speaker)
  for (let n = 0; n < 90; n++) {
    await s.sim.clock.runFor(minuteMs / 7)
    s.groups.of('g').heartbeat('g', speaker)
  }
  s.groups.of('g').leave('g', [speaker])
  await s.sim.clock.runFor(59 * minuteMs)
  expect(s.committed('g')).toEqual({ 't-0': 1 })
  await s.sim.clock.runFor(12 * minuteMs)
  expect([...s.groups.all()]).toEqual([])
  await s.restart()
  expect([...s.groups.all()]).toEqual([])
})

test('offsets outside of any group go so long after their commit, those with their own time at that time', async () => {
  const s = await SimGroups.start({ settings: { 'offsets.retention.minutes': '60' } })
  await s.commit('simple', { 0: 1 })
  const own = {
    offset: 1,
    leaderEpoch: -1,
    metadata: '',
    commitTimestamp: 0,
    expireTimestamp: s.sim.clock.nowMs() + 1,
  }
  await s.done(s.groups.of('own').commit('own', nobody, [{ topic: 't', partition: 0, value: own }]))
  await s.sim.clock.runFor(11 * minuteMs)
  expect([...s.groups.all()].map(({ group }) => group.id)).toEqual(['simple'])
  await s.sim.clock.runFor(30 * minuteMs)
  await s.commit('simple', { 1: 1 })
  await s.sim.clock.runFor(30 * minuteMs)
  expect(s.committed('simple')).toEqual({ 't-1': 1 })
})

test('an old offset that is just being committed again is not forgotten', async () => {
  const s = await SimGroups.start({ settings: { 'offsets.retention.minutes': '1' } })
  await s.commit('g', { 0: 1 })
  s.sim.disk.syncMs = { min: 2_000, max: 2_000 }
  const looksRoundMs = 10 * minuteMs - s.sim.clock.monotonicMs()
  await s.sim.clock.runFor(looksRoundMs - 1_000)
  const committing = s.committing('g', { 0: 2 })
  await s.sim.clock.runFor(1_500)
  await s.done(committing)
  expect(s.committed('g')).toEqual({ 't-0': 2 })
  await s.restart()
  expect(s.committed('g')).toEqual({ 't-0': 2 })
})

test('of a stable group only offsets of topics that nobody reads any more go', async () => {
  const s = await SimGroups.start({ settings: { 'offsets.retention.minutes': '60' } })
  await s.makeTopic('u', 1)
  const member = await s.member('g', { sessionTimeoutMs: 1_000_000_000 })
  await s.commit('g', { 0: 1 }, { ...member, instanceId: null })
  await s.commit('g', { 0: 1 }, { ...member, instanceId: null }, 'u')
  await s.sim.clock.runFor(75 * minuteMs)
  expect(s.committed('g')).toEqual({ 't-0': 1 })
})

test('a group that was only looked at is gone at the next look round', async () => {
  const s = await SimGroups.start()
  void s.groups.of('g').join('g', {
    memberId: '',
    instanceId: null,
    clientId: 'c',
    clientHost: '',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    idFirst: true,
    maySkipAssignment: false,
  })
  expect([...s.groups.all()]).toHaveLength(1)
  await s.sim.clock.runFor(11 * minuteMs)
  expect([...s.groups.all()]).toEqual([])
  expect(s.groups.usedBytes).toBe(0)
})

test('damaged and foreign records are passed over with a line in the log, and the rest is there', async () => {
  const s = await SimGroups.start()
  await s.commit('g', { 0: 1 })
  await s.smuggle('g', Buffer.from('poison'), Buffer.from('poison'))
  await s.smuggle('g', Buffer.from('0001ffff', 'hex'), null)
  await s.smuggle('g', Buffer.from('00020001', 'hex'), Buffer.from('0003'))
  await s.smuggle('g', Buffer.from('0063000167', 'hex'), Buffer.from('0000'))
  await s.commit('g', { 1: 2 })
  await s.restart()
  expect(s.committed('g')).toEqual({ 't-0': 1, 't-1': 2 })
  expect(s.lines.filter(({ msg }) => msg.includes('passed over'))).toHaveLength(4)
})

test('batches that the disk has damaged are passed over, and no more than they', async () => {
  const s = await SimGroups.start({ settings: { 'offsets.topic.segment.bytes': '1100' } })
  await s.makeTopic('many', 40)
  for (let n = 0; n < 40; n++) await s.commit('g', { [n]: n }, nobody, 'many')
  const { directory } = s.tabletOf('g').identity
  // Ten commits of about a hundred bytes a segment: two of the second are damaged.
  const path = `${directory}/00000000000000000010.log`
  const batchBytes = (s.sim.world.disk.stat(path)?.sizeBytes ?? 0) / 10
  s.groups.end()
  await s.done(s.broker.stop())
  s.sim.disk.flipBits(path, 3 * batchBytes + 70, 20)
  s.sim.disk.flipBits(path, 4 * batchBytes + 70, 20)
  await s.boot()
  await s.loaded()
  const kept = Array.from({ length: 40 }, (_, n) => n).filter(n => n !== 13 && n !== 14)
  expect(s.committed('g')).toEqual(Object.fromEntries(kept.map(n => [`many-${n}`, n])))
  expect(s.lines).toContainEqual(expect.objectContaining({ from: 13, to: 14, level: 50 }))
})

test('memory is bounded: new groups and offsets are refused, those that are there go on', async () => {
  const s = await SimGroups.start({ settings: { 'stele.group.memory.bytes': '1048576' } })
  await s.makeTopic('wide', 200)
  let refused: string | undefined
  const wide = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [n, n]))
  for (let n = 0; refused === undefined; n++) refused = await s.commit(`g${n}`, wide, nobody, 'wide')
  expect(refused).toBe('INVALID_COMMIT_OFFSET_SIZE')
  expect(s.groups.usedBytes).toBeLessThanOrEqual(1_048_576)
  expect(await s.commit('g0', { 0: 77 }, nobody, 'wide')).toBeUndefined()
  expect(s.committed('g0')['wide-0']).toBe(77)
  const used = s.groups.usedBytes
  for (let n = 0; n < 100; n++) await s.commit('g0', { 0: n }, nobody, 'wide')
  expect(s.groups.usedBytes).toBe(used)
  await s.done(s.groups.of('g1').delete('g1'))
  expect(s.groups.usedBytes).toBeLessThan(used)
})

test('a group that is too large to be kept is an error of the server, a commit that is one of who commits', async () => {
  const s = await SimGroups.start({ settings: { 'offsets.topic.segment.bytes': '1000' } })
  const subscription = Buffer.alloc(2_000)
  const member = await s.joined('g', { protocols: [{ name: 'range', metadata: subscription }] })
  const speaker = { ...member, instanceId: null }
  const shares = { ...speaker, protocolType: null, protocol: null, assignments: new Map() }
  expect(await s.done(s.groups.of('g').sync('g', shares))).toEqual({ refused: 'UNKNOWN_SERVER_ERROR' })
  const wide = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [n, n]))
  expect(await s.commit('other', wide)).toBe('INVALID_COMMIT_OFFSET_SIZE')
})

test('groups that could not be read are read again later, however often they are asked for', async () => {
  const s = await SimGroups.start()
  await s.commit('g', { 0: 7 })
  s.groups.end()
  await s.done(s.broker.stop())
  s.sim.disk.failShare('read', 1, 'EIO', /__consumer_offsets.*\.log$/)
  await s.boot()
  const failures = () => s.lines.filter(({ msg }) => msg === 'groups not loaded').length
  await s.sim.clock.runUntil(() => failures() > 0)
  const before = failures()
  for (let n = 0; n < 100; n++) {
    expect(() => s.groups.of('g')).toThrow(expect.objectContaining({ code: 'COORDINATOR_LOAD_IN_PROGRESS' }))
    await s.sim.clock.runFor(10)
  }
  expect(failures()).toBeLessThanOrEqual(before + 1)
  s.sim.disk.heal()
  await s.loaded()
  expect(s.committed('g')).toEqual({ 't-0': 7 })
})

test('very many groups are restored in turns with others, and all of them are there', async () => {
  const s = await SimGroups.start()
  const member = { name: 'range', metadata: Buffer.alloc(2_000) }
  const names = Array.from({ length: 300 }, (_, n) => `g${n}`)
  for (const name of names) await s.member(name, { protocols: [member] })
  await s.restart()
  for (const name of names) expect(s.groups.of(name).find(name)?.group.state).toBe('Stable')
  s.sim.kill()
  await s.boot()
  // A broker that stops while it loads keeps nothing of it.
  await s.sim.clock.runUntil(() => s.groups.usedBytes > 0)
  s.groups.end()
  await s.sim.clock.settle()
  expect(s.groups.usedBytes).toBe(0)
})
