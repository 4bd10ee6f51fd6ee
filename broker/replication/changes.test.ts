/** Wishes and what becomes of them, on a store that answers as the test says. */
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation } from '../../base/quantities.ts'
import { applyChanges, type TabletAssignment, type TabletChange } from '../../control/model.ts'
import type { ChangeAnswer, ControlStore } from '../../control/store.ts'
import { simWorld } from '../../test/sim/world.ts'
import { Changes, type Wish } from './changes.ts'

const members = [0, 1, 2].map(broker => ({ broker: brokerId(broker), incarnation: incarnation(1) }))
const begun: TabletAssignment = {
  epoch: epoch(0),
  version: 0,
  leader: brokerId(0),
  replicas: [0, 1, 2].map(brokerId),
  adding: [],
  removing: [],
  isr: members,
}

type Answer = ChangeAnswer | 'landed, and nobody heard' | Error

/** A topic of `count` tablets; each change is answered by the next of `answers`, and by what holds when there is none. */
function world(count: number, answers: Answer[]) {
  const {
    clock,
    world: { clock: ticking },
  } = simWorld({ seed: 1 })
  let tablets: readonly TabletAssignment[] = Array.from({ length: count }, () => begun)
  const asked: (readonly TabletChange[])[] = []
  const apply = (changes: readonly TabletChange[]): ChangeAnswer => {
    const next = applyChanges(tablets, changes)
    tablets = next ?? tablets
    return next === undefined ? 'refused' : 'changed'
  }
  const store = {
    topicById: () => ({ name: 't', id: 't', settings: {}, tablets }),
    changeTablets(_id: string, changes: readonly TabletChange[]) {
      asked.push(changes)
      const answer = answers.shift()
      if (answer instanceof Error) return Promise.reject(answer)
      if (answer === 'landed, and nobody heard') apply(changes)
      if (answer === 'landed, and nobody heard' || answer === 'unknown') return Promise.resolve('unknown')
      return Promise.resolve(answer ?? apply(changes))
    },
  } as unknown as ControlStore
  const changes = new Changes(store, ticking, pino({ level: 'silent' }))
  const heard: string[] = []
  const wish = (partition: number): Wish => ({
    topicId: 't',
    partition,
    wanted: now =>
      now.isr.length < 3 ? undefined : { ...now, version: now.version + 1, isr: now.isr.slice(0, 2) },
    begun: () => heard.push(`${partition} begun`),
    answered: answer => heard.push(`${partition} ${answer}`),
  })
  const change = (partition: number): void => {
    const now = tablets[partition] ?? begun
    const to = { ...now, version: now.version + 1 }
    apply([{ tablet: partition, test: { epoch: now.epoch, version: now.version }, to }])
    changes.seen('t')
  }
  return { clock, changes, wish, heard, asked, change, tablets: () => tablets }
}

test('wishes of one turn go together, those of two slices apart', async () => {
  const { clock, changes, wish, heard, asked } = world(70, [])
  for (const partition of [0, 5, 63, 64]) changes.wish(wish(partition))
  await clock.runFor(10)
  expect(asked.map(of => of.map(({ tablet }) => tablet))).toEqual([[0, 5, 63], [64]])
  expect(heard.filter(one => one.endsWith('changed'))).toHaveLength(4)
})

test('one that does not hold any more holds up the others for a moment only', async () => {
  const { clock, changes, wish, tablets, asked } = world(3, ['refused', 'refused'])
  for (const partition of [0, 1, 2]) changes.wish(wish(partition))
  await clock.runFor(10)
  expect(asked).toHaveLength(1)
  for (let again = 0; again < 5; again++) {
    for (const partition of [0, 1, 2]) changes.wish(wish(partition))
    await clock.runFor(1_000)
  }
  expect(tablets().map(({ isr }) => isr.length)).toEqual([2, 2, 2])
})

test('without an answer it stays under way, and is asked again until the version says what became of it', async () => {
  const { clock, changes, wish, heard, asked, tablets } = world(1, [
    'unknown',
    'landed, and nobody heard',
    'refused',
  ])
  changes.wish(wish(0))
  await clock.runFor(10)
  expect(heard).toEqual(['0 begun', '0 unknown'])
  changes.wish(wish(0))
  await clock.runFor(10_000)
  expect(tablets()[0]?.isr).toHaveLength(2)
  expect(asked.every(([change]) => change?.test.version === 0)).toBe(true)
  expect(heard.slice(2)).toContain('0 seen')
  expect(heard).not.toContain('0 changed')
})

test('somebody else’s change settles it', async () => {
  const { clock, changes, wish, heard, change } = world(1, ['unknown', 'unknown', 'unknown'])
  changes.wish(wish(0))
  await clock.runFor(10)
  change(0)
  expect(heard).toEqual(['0 begun', '0 unknown', '0 seen'])
})

test('who waits behind one without an answer goes on as soon as that is seen', async () => {
  const { clock, changes, wish, asked, change } = world(2, ['unknown'])
  changes.wish(wish(0))
  await clock.runFor(10)
  changes.wish(wish(1))
  await clock.runFor(10)
  expect(asked).toHaveLength(1)
  change(0)
  await clock.runFor(10)
  expect(asked.map(of => of.map(({ tablet }) => tablet))).toEqual([[0], [1]])
  // What landed before its answer was given up is seen then.
  const late = world(2, ['landed, and nobody heard'])
  late.changes.wish(late.wish(0))
  await late.clock.runFor(10)
  late.changes.wish(late.wish(1))
  await late.clock.runFor(10)
  expect(late.tablets().map(({ isr }) => isr.length)).toEqual([2, 2])
})

test('a store that fails has changed nothing', async () => {
  const { clock, changes, wish, heard, tablets } = world(1, [new Error('no')])
  changes.wish(wish(0))
  await clock.runFor(10)
  expect(heard).toEqual(['0 begun', '0 refused'])
  expect(tablets()[0]?.isr).toHaveLength(3)
})

test('one that is replaced before it was asked for is refused', async () => {
  const { clock, changes, wish, heard } = world(1, [])
  changes.wish(wish(0))
  changes.wish(wish(0))
  expect(heard).toEqual(['0 refused'])
  await clock.runFor(10)
  expect(heard).toEqual(['0 refused', '0 begun', '0 changed'])
})
