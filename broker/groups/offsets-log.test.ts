import { expect, test } from 'vitest'
import { nobody, SimGroups } from './groups.fixture.ts'

/** Stops the broker, damages the batches that hold these records of one tablet, one a batch, and starts it again. */
async function damaged(s: SimGroups, path: string, hurt: readonly number[]): Promise<void> {
  s.groups.end()
  await s.done(s.broker.stop())
  const file = s.sim.world.disk.open(path, 'read')
  const bytes = Buffer.alloc(file.sizeBytes())
  file.read(bytes, 0)
  file.close()
  const starts: number[] = []
  for (let at = 0; at < bytes.length; at += bytes.readInt32BE(at + 8) + 12) starts.push(at)
  for (const n of hurt) s.sim.disk.flipBits(path, (starts[n] ?? 0) + 70, 20)
  await s.boot()
  await s.loaded()
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)

test('what is sound between two damaged stretches is read', async () => {
  const s = await SimGroups.start()
  await s.makeTopic('many', 60)
  for (const n of numbers(0, 60)) await s.commit('g', { [n]: n }, nobody, 'many')
  const { directory } = s.tabletOf('g').identity
  const hurt = [...numbers(10, 20), ...numbers(22, 50)]
  await damaged(s, `${directory}/00000000000000000000.log`, hurt)
  const kept = numbers(0, 60).filter(n => !hurt.includes(n))
  expect(s.committed('g')).toEqual(Object.fromEntries(kept.map(n => [`many-${n}`, n])))
  const lines = s.lines.filter(({ msg }) => msg.startsWith('records of groups are damaged'))
  expect(lines.map(({ from, to }) => [from, to])).toEqual([
    [10, 19],
    [22, 49],
  ])
})

test('a file that is damaged to its end hides nothing of the next one, damaged or not', async () => {
  const s = await SimGroups.start({ settings: { 'offsets.topic.segment.bytes': '1100' } })
  await s.makeTopic('many', 60)
  for (const n of numbers(0, 60)) await s.commit('g', { [n]: n }, nobody, 'many')
  const { directory } = s.tabletOf('g').identity
  await damaged(s, `${directory}/00000000000000000010.log`, [4, 5, 6, 7, 8, 9])
  await damaged(s, `${directory}/00000000000000000020.log`, [0, 1, 5])
  const hurt = [...numbers(14, 20), 20, 21, 25]
  const kept = numbers(0, 60).filter(n => !hurt.includes(n))
  expect(s.committed('g')).toEqual(Object.fromEntries(kept.map(n => [`many-${n}`, n])))
})

test('of a large commit that was refused in part, memory has what a restart finds', async () => {
  const s = await SimGroups.start()
  await s.makeTopic('wide', 300)
  const value = {
    offset: 7,
    leaderEpoch: 0,
    metadata: 'm'.repeat(4_000),
    commitTimestamp: s.sim.clock.nowMs(),
    expireTimestamp: -1,
  }
  const commits = numbers(0, 300).map(partition => ({ topic: 'wide', partition, value }))
  s.sim.disk.failNext('write', 'ENOSPC')
  expect(await s.done(s.groups.of('g').commit('g', nobody, commits))).toBe('NOT_COORDINATOR')
  const kept = Object.keys(s.committed('g')).length
  expect(kept).toBeGreaterThan(0)
  expect(kept).toBeLessThan(300)
  const before = s.committed('g')
  await s.restart()
  expect(s.committed('g')).toEqual(before)
})

test('of a large group that could not be deleted whole, memory has what a restart finds', async () => {
  const s = await SimGroups.start()
  const topic = 'w'.repeat(249)
  await s.makeTopic(topic, 2_500)
  await s.commit('g', Object.fromEntries(numbers(0, 2_500).map(n => [n, n])), nobody, topic)
  s.sim.disk.failNext('write', 'ENOSPC')
  expect(await s.done(s.groups.of('g').delete('g'))).toBe('NOT_COORDINATOR')
  const before = s.committed('g')
  expect(Object.keys(before).length).toBeGreaterThan(0)
  expect(Object.keys(before).length).toBeLessThan(2_500)
  await s.restart()
  expect(s.committed('g')).toEqual(before)
  expect(await s.done(s.groups.of('g').delete('g'))).toBeUndefined()
})
