import { pino } from 'pino'
import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation, offset, type BrokerId } from '../../base/quantities.ts'
import type { TabletAssignment } from '../../control/model.ts'
import { simWorld } from '../../test/sim/world.ts'
import { News } from './news.ts'
import type { Replica } from './replica.ts'

const [one, two, three] = [1, 2, 3].map(brokerId) as [BrokerId, BrokerId, BrokerId]
const run = incarnation(7)

type Line = { readonly msg: string; readonly tablets: number } & Record<string, unknown>

/** News of broker 1. */
function setUp() {
  const { clock, world } = simWorld({ seed: 1 })
  const lines: Line[] = []
  const around = { leaving: new Set<BrokerId>(), handedTo: undefined as BrokerId | undefined, bytesIn: 0 }
  const news = new News({
    log: pino({ base: null }, { write: line => void lines.push(JSON.parse(line) as Line) }),
    clock: world.clock,
    self: { broker: one, incarnation: run },
    isLeaving: broker => around.leaving.has(broker),
    handedTo: () => around.handedTo,
    bytesIn: () => around.bytesIn,
  })
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      await clock.runFor(100)
      news.look(world.clock.monotonicMs())
    }
  }
  return { news, lines, around, pass, said: () => lines.map(({ msg }) => msg) }
}

const assigned = (version: number, leader: BrokerId, isr: BrokerId[], more = {}): TabletAssignment => ({
  epoch: epoch(leader === one ? 2 : 1),
  version,
  leader,
  replicas: [one, two, three],
  adding: [],
  removing: [],
  isr: isr.map(broker => ({ broker, incarnation: run })),
  ...more,
})

const replica = (
  partition: number,
  role: Replica['role'],
  assignment: TabletAssignment,
  whyOut?: 'gone' | 'behind',
): Replica => ({
  topic: 'orders',
  topicId: 'id',
  partition,
  role,
  assignment,
  limits: { lagMsMax: 10_000, minInsync: 1, alone: false },
  held: { epoch: 1, end: offset(0) },
  bornIn: incarnation(0),
  election: { os: false, unclean: false },
  mayRenew: () => true,
  led: role === 'leader' ? ({ whyOut: () => whyOut } as unknown as Replica['led']) : undefined,
  followed: undefined,
})

test('a thousand tablets of a lost leader are one line, and so is the set without it', async () => {
  const { news, lines, pass } = setUp()
  const all = Array.from({ length: 1_000 }, (_, n) => n)
  for (const n of all) news.changed(replica(n, 'follower', assigned(1, two, [one, two, three])))
  for (const n of all) {
    news.claims(`id/${n}`)
    news.changed(replica(n, 'leader', assigned(2, one, [one, two, three])))
  }
  for (const n of all) news.changed(replica(n, 'leader', assigned(3, one, [one, three]), 'gone'))
  await pass(1_000)
  expect(lines).toMatchObject([
    { msg: '1000 tablets: led here now: broker 2, which led, is lost', tablets: 1_000, from: 2 },
    { msg: '1000 tablets: broker 2 is not in sync any more: it is gone', tablets: 1_000, replica: 2 },
  ])
  expect(lines[0]?.['which']).toEqual([0, 1, 2, 3, 4].map(n => `orders-${n}`))
  await pass(20_000)
  expect(lines).toHaveLength(2)
})

test('what goes on and on is told every ten seconds', async () => {
  const { news, said, pass } = setUp()
  news.changed(replica(0, 'leader', assigned(1, one, [one, two]), 'behind'))
  for (let version = 2; version < 62; version++) {
    news.changed(
      replica(0, 'leader', assigned(version, one, version % 2 === 0 ? [one] : [one, two]), 'behind'),
    )
    await pass(500)
  }
  expect(said().filter(line => line.includes('has everything and is in sync'))).toHaveLength(3)
  expect(said().filter(line => line.includes('longer than replica.lag.time.max.ms'))).toHaveLength(3)
})

test('it says who hands over to whom, who stops, and whose replica went elsewhere', async () => {
  const { news, around, said, pass } = setUp()
  news.changed(replica(0, 'follower', assigned(1, two, [one, two, three])))
  news.changed(replica(0, 'leader', assigned(2, one, [one, two, three])))
  around.leaving.add(two)
  news.changed(replica(0, 'leader', assigned(3, one, [one, three]), 'gone'))
  news.changed(replica(0, 'leader', assigned(4, one, [one], { replicas: [one] })))
  await pass(1_000)
  expect(said()).toEqual([
    '1 tablet: led here now: broker 2 has handed over',
    '1 tablet: broker 2 is not in sync any more: it stops',
    '1 tablet: broker 3 is not in sync any more: its replica is elsewhere now',
  ])
  news.changed(replica(3, 'follower', assigned(1, three, [one, three])))
  news.changed(replica(3, 'leader', assigned(2, one, [one])))
  await pass(1_000)
  expect(said()[3]).toBe('1 tablet: led here now: broker 3, which led, cannot serve it any more')
  around.handedTo = three
  news.changed(replica(1, 'leader', assigned(1, one, [one, three])))
  news.changed(replica(1, 'follower', assigned(2, three, [one, three])))
  news.changed(replica(2, 'leader', assigned(1, one, [one, two])))
  news.changed(replica(2, 'follower', assigned(2, two, [one, two])))
  news.end()
  expect(said().slice(4)).toEqual([
    '2 tablets: led here again since the start',
    '1 tablet: handed over to broker 3',
    '1 tablet: led by broker 2 now, in place of this one',
  ])
})

test('how long it took until everything here was in sync is one line', async () => {
  const { news, lines, around, pass } = setUp()
  for (const n of [0, 1, 2]) news.changed(replica(n, 'follower', assigned(1, two, [two, three])))
  await pass(5_000)
  around.bytesIn = 12_345
  for (const n of [0, 1]) news.changed(replica(n, 'follower', assigned(2, two, [one, two, three])))
  await pass(5_000)
  expect(lines).toEqual([])
  news.changed(replica(2, 'follower', assigned(2, two, [one, two, three])))
  await pass(1_000)
  expect(lines).toMatchObject([
    {
      msg: 'everything here is in sync: 3 tablets had to catch up',
      tablets: 3,
      tookMs: 10_000,
      bytesCopied: 12_345,
    },
  ])
})

test('a copy that others make from here is told when it begins and every minute', async () => {
  const { news, lines } = setUp()
  const report = { broker: two, tablets: 3, tabletsDone: 0, bytes: 900, bytesLeft: 300, bytesPerSecond: 10 }
  for (let nowMs = 0; nowMs <= 120_000; nowMs += 2_000) news.copies([report], nowMs)
  news.copies([], 122_000)
  news.copies([report], 124_000)
  expect(lines.map(({ msg }) => msg)).toEqual(
    Array(4).fill('broker 2 copies from here what it lacks of 3 tablets'),
  )
  expect(lines[0]).toMatchObject({ bytesLeft: 300 })
})
