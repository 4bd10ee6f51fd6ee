/** Bytes that change on a replica's disk: they are found, never served, and copied again from another replica while the tablet goes on. */
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { LocalCleaner } from '../../broker/log/compaction/cleaner.ts'
import { Compactions } from '../../broker/tablet/compactions.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { buildBatch } from '../../protocol/kafka/records.ts'
import { append } from './broker.ts'
import type { SimNode } from './cluster.ts'
import { recordsIn } from './cluster-clients.ts'
import { check, filesOf, held, records, written } from './written-copies.ts'

const silent = pino({ level: 'silent' })

/** The last value that is left. */
const newest = (all: readonly { readonly offset: number; readonly value: string }[]) => all.at(-1)

/** Bits flip in the second segment of the replica. */
function damage(node: SimNode, tablet: Tablet, at = 100): void {
  const [, second] = filesOf(node, tablet)
  if (second === undefined) throw new Error('there are several segments')
  node.sim.disk.flipBits(second, at, 1)
}

test('a follower that finds damage has it again from its leader, and stays in sync', async () => {
  const { cluster, replica, led, followed, leader, isInSync } = await written()
  const before = leader().epoch
  const tablet = replica(followed)
  damage(followed, tablet)
  expect(() => held(followed, tablet)).toThrow('damaged')
  const checks = check(followed, tablet)
  await cluster.until(() => tablet.mending?.counters.mended === 1)
  checks.stop()
  expect(held(followed, tablet)).toEqual(held(led, leader()))
  expect(tablet.mending?.isDamaged).toBe(false)
  expect(leader().epoch).toBe(before)
  expect(isInSync()).toBe(true)
})

test('a leader that finds damage is followed by another leader, and no reader sees more than that', async () => {
  const { cluster, replica, led, leader, settled, isInSync, write } = await written()
  const tablet = replica(led)
  damage(led, tablet)
  const refused = new Set<string>()
  let next = 0
  while (next < records) {
    try {
      const batches = await cluster.clock.finish(Promise.resolve(leader().read(offset(next), 400, true)))
      for (const piece of batches.pieces)
        for (const record of recordsIn(piece))
          if (record.offset === next) expect(record.value).toBe(`record ${next++}`)
      batches.release()
    } catch (error) {
      refused.add((error as { code: string }).code)
      await cluster.run(20)
    }
  }
  expect([...refused]).toEqual(['NOT_LEADER_OR_FOLLOWER'])
  expect(leader().leader).not.toBe(led.id)
  await cluster.until(() => tablet.mending?.counters.mended === 1)
  await write('one more')
  await cluster.until(() => settled() && isInSync())
  expect(held(led, tablet)).toEqual(
    held(cluster.nodes.find(({ id }) => id === leader().leader) ?? led, leader()),
  )
})

test('the only replica in sync goes on with what is sound, and says what is not', async () => {
  const { cluster, replica, led, leader, write } = await written({ 'min.insync.replicas': '1' })
  for (const node of cluster.nodes) if (node !== led) node.kill()
  await cluster.until(
    () => cluster.control.state.topicsById.get(leader().topicId)?.tablets[0]?.isr.length === 1,
  )
  damage(led, replica(led))
  const read = (at: number) => cluster.clock.finish(Promise.resolve(leader().read(offset(at), 1, true)))
  let refusals = 0
  for (let at = 0; at < records; at++) {
    try {
      ;(await read(at)).release()
    } catch (error) {
      expect(error).toMatchObject({ code: 'CORRUPT_MESSAGE' })
      refusals++
    }
  }
  expect(refusals).toBe(1)
  expect(await write('one more')).toHaveProperty('baseOffset', records)
  // Who comes back has what is damaged there, and leads.
  await cluster.startAll()
  const { topicId } = leader()
  await cluster.until(() => {
    const now = cluster.leader(topicId)
    return now !== undefined && now.leader !== led.id && replica(led).mending?.counters.mended === 1
  })
  ;(await read(0)).release()
})

test('a replica whose process ends does not give up what stands behind damage', async () => {
  const { cluster, replica, led, followed, leader, settled, isInSync } = await written()
  const tablet = replica(followed)
  damage(followed, tablet)
  followed.kill()
  followed.start()
  await cluster.until(() => followed.runs && isInSync() && settled())
  const again = replica(followed)
  await cluster.until(() => again.mending?.counters.mended === 1)
  expect(held(followed, again)).toEqual(held(led, leader()))
  const names = followed.sim.world.disk.list(again.identity.directory)
  expect(names.filter(name => name.endsWith('.cut'))).toEqual([])
})

test('a replica does not believe a base offset that flipped, in how far it is readable', async () => {
  const { cluster, replica, led, followed, leader, settled, isInSync } = await written()
  const [first] = filesOf(followed, replica(followed))
  followed.kill()
  if (first === undefined) throw new Error('there are several segments')
  const highestByte = 2
  followed.sim.disk.flipBits(first, highestByte, 1)
  followed.start()
  await cluster.until(() => followed.runs && isInSync() && settled())
  const again = replica(followed)
  await cluster.until(() => again.mending?.counters.mended === 1)
  expect(held(followed, again)).toEqual(held(led, leader()))
})

test('a replica that had to cut damage off with a torn tail waits for others to lead', async () => {
  const { cluster, topic, replica, led, leader, settled, isInSync, write } = await written()
  damage(led, replica(led))
  const others = cluster.nodes.filter(node => node !== led)
  for (const node of others) node.kill()
  led.cutPower('keep')
  led.start()
  await cluster.until(() => led.runs)
  await cluster.run(1_000)
  expect(replica(led).logEnd).toBeLessThan(records)
  expect(cluster.leader(topic.id)).toBeUndefined()
  for (const node of others) node.start()
  await cluster.until(() => cluster.leader(topic.id) !== undefined && isInSync() && settled())
  expect(leader().leader).not.toBe(led.id)
  expect(await write('one more')).toHaveProperty('baseOffset', records)
  await cluster.until(settled)
  expect(held(led, replica(led))).toEqual(held(others[0] ?? led, replica(others[0] ?? led)))
})

test('of two that had to cut the one leads that holds more, whoever led before', async () => {
  const { cluster, topic, replica, led, followed, leader, settled, isInSync, write } = await written()
  // Each is cut at what is damaged first.
  damage(led, replica(led))
  const [, , third] = filesOf(followed, replica(followed))
  followed.sim.disk.flipBits(third ?? '', 100, 1)
  for (const node of cluster.nodes) if (node !== led && node !== followed) node.kill()
  for (const node of [led, followed]) node.cutPower('keep')
  led.start()
  await cluster.until(() => led.runs)
  await cluster.run(100)
  followed.start()
  await cluster.until(() => followed.runs)
  const kept = replica(followed).logEnd
  expect(replica(led).logEnd).toBeLessThan(kept)
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  expect(leader().leader).toBe(followed.id)
  expect(leader().logEnd).toBe(kept)
  await cluster.startAll()
  await cluster.until(() => isInSync() && settled())
  expect(await write('one more')).toHaveProperty('baseOffset', kept)
})

/** A compacted tablet whose leader has left other batches of a segment than a follower, in which bits have flipped. */
async function compactedAtLeader() {
  const all = await written({
    'cleanup.policy': 'compact',
    'min.cleanable.dirty.ratio': '0',
    'file.delete.delay.ms': '0',
  })
  const { cluster, replica, led, followed, leader } = all
  const tablet = replica(followed)
  for (const node of [led, followed])
    for (const one of node.broker?.tablets.all() ?? []) await cluster.clock.finish(one.checkpoint())
  const { world } = led.sim
  const compactions = new Compactions({
    world,
    log: silent,
    cleaner: new LocalCleaner(world),
    tablets: { all: () => [leader()] },
    limits: { mapBytesMax: 2 ** 20, bytesPerSecond: 10_000_000, timeShare: 1 },
    backoffMs: 1_000,
  })
  await cluster.clock.finish(compactions.round())
  expect(leader().keeping?.compaction?.counters.recordsRemoved).toBeGreaterThan(10)
  damage(followed, tablet)
  return { ...all, tablet }
}

test('a replica of a compacted tablet has the place of what was damaged filled with what its leader has left of it', async () => {
  const { cluster, led, followed, leader, tablet } = await compactedAtLeader()
  const checks = check(followed, tablet)
  await cluster.until(() => tablet.mending?.counters.mended === 1)
  checks.stop()
  expect(tablet.mending?.isDamaged).toBe(false)
  expect(newest(held(followed, tablet))).toEqual(newest(held(led, leader())))
})

test('while its segment is written anew a replica copies what comes', async () => {
  const { cluster, followed, tablet, write } = await compactedAtLeader()
  let isWriting = false
  followed.sim.disk.onCall = (call, path) => {
    isWriting ||= path.endsWith('.cleaned')
    // A disk on which that takes a while.
    if (isWriting) followed.sim.disk.poolMs = { min: 300, max: 300 }
  }
  const checks = check(followed, tablet)
  await cluster.until(() => isWriting)
  const sinceMs = cluster.clock.monotonicMs()
  expect(await write('meanwhile')).toHaveProperty('baseOffset', records)
  expect(cluster.clock.monotonicMs() - sinceMs).toBeLessThan(100)
  expect(tablet.mending?.counters.mended).toBe(0)
  await cluster.until(() => tablet.mending?.counters.mended === 1)
  checks.stop()
})

test('a segment that could not be put in its place is left until the next start, and that is said once', async () => {
  const { cluster, followed, tablet, replica, write } = await compactedAtLeader()
  let written = 0
  followed.sim.disk.onCall = (call, path) => {
    if (call === 'open' && path.endsWith('.log.cleaned')) written++
  }
  // Of the renames the second: what decides has happened.
  followed.sim.disk.failNext('rename', 'EIO', /\.swap$/)
  const checks = check(followed, tablet)
  await cluster.until(() =>
    (followed.broker?.lines ?? []).some(({ msg }) => msg.includes('until the broker is started again')),
  )
  await cluster.run(60_000)
  checks.stop()
  expect([written, tablet.mending?.counters.mended]).toEqual([1, 0])
  expect(await write('meanwhile')).toHaveProperty('baseOffset', records)
  followed.kill()
  followed.start()
  await cluster.until(() => followed.runs && replica(followed).logEnd === records + 1)
  const again = check(followed, replica(followed))
  await cluster.run(5_000)
  again.stop()
  expect(replica(followed).mending?.isDamaged).toBe(false)
  expect(held(followed, replica(followed)).length).toBeGreaterThan(0)
})

test('a replica that mends first does not take for readable what another leader has otherwise', async () => {
  const { cluster, topic, replica, led, leader, settled, isInSync, write } = await written()
  const tablet = replica(led)
  for (const node of cluster.nodes) if (node !== led) cluster.shared.network.cut(led.host, node.host)
  cluster.control.cutOff(led.id)
  const alone = buildBatch([{ key: null, value: Buffer.from('alone'), headers: [], timestamp: 1 }])
  await cluster.clock.finish(append(tablet, alone, 1))
  damage(led, tablet)
  const [, second] = filesOf(led, tablet)
  await cluster.clock.finish(
    Promise.resolve(tablet.read(offset(Number(second?.slice(-24, -4)) + 1), 1, true)).catch(() => undefined),
  )
  await cluster.until(() => tablet.mending?.counters.found === 1)
  const other = (): Tablet | undefined => {
    const found = cluster.leader(topic.id)
    return found === tablet ? undefined : found
  }
  await cluster.until(() => other() !== undefined)
  for (let n = 0; n < 5; n++) await write(`later ${n}`)
  cluster.shared.network.heal()
  cluster.control.heal()
  await cluster.until(() => tablet.mending?.counters.mended === 1)
  await cluster.until(() => settled() && isInSync())
  const keeper = cluster.nodes.find(({ id }) => id === leader().leader)
  expect(held(led, tablet)).toEqual(keeper && held(keeper, leader()))
  expect(led.broker?.lines.map(({ msg }) => msg)).not.toContain('records that could be read were cut off')
})
