import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation, type BrokerId } from '../../base/quantities.ts'
import type { Broker, Found, TabletAssignment } from '../../control/model.ts'
import { offlineOf } from './unclean-elections.ts'

const [zero, one] = [0, 1].map(brokerId) as [BrokerId, BrokerId]

const assigned = (replicas: BrokerId[], more: Partial<TabletAssignment> = {}): TabletAssignment => ({
  epoch: epoch(3),
  version: 9,
  leader: one,
  replicas,
  adding: [],
  removing: [],
  isr: [{ broker: one, incarnation: incarnation(1) }],
  ...more,
})
const found = (broker: BrokerId, inEpoch: number, trouble?: 'lost' | 'offline'): Found => ({
  broker,
  incarnation: incarnation(2),
  epoch: inEpoch,
  end: 0,
  ...(trouble && { trouble }),
})

/** As broker 0 says it, to which broker 1 is gone. */
function said(now: TabletAssignment, trouble?: string) {
  const store = { brokers: () => new Map<BrokerId, Broker>(), isSilent: () => true }
  return offlineOf(store, 'orders', 4, now, { id: zero, trouble, server: 'http://localhost:8080' })
}

test('who has some of it may lead by its owner’s word, with a command that can be pasted', () => {
  const { why, todo } = said(assigned([zero, one], { found: [found(zero, 2)] })) ?? {}
  expect(why).toMatch(/^broker 1, which led it, is not there.*broker 0 may not hold all/)
  expect(todo).toMatch(
    /^Bring back broker 1 .*: stele topic elect orders --partition 4 --unclean --server http:\/\/localhost:8080$/,
  )
})

test('where nobody has anything of it, no election helps', () => {
  const remove = /: stele topic delete orders --server http:\/\/localhost:8080$/
  expect(said(assigned([one]))?.todo).toMatch(remove)
  expect(said(assigned([one], { found: [found(one, -1, 'offline')] }))?.todo).toMatch(remove)
  expect(said(assigned([zero, one], { found: [found(zero, -1)] }))?.todo).toMatch(remove)
  // All of them are there, and what they had is gone: its owner may give it up.
  const all = [found(zero, -1), found(one, -1, 'lost')]
  expect(said(assigned([zero, one], { found: all }))?.todo).toMatch(/stele topic elect/)
})

test('who was not heard yet may have it, and what the own replica lacks says itself what to do', () => {
  expect(said(assigned([zero, one]))?.todo).toBe('Bring back broker 1 with the data it had.')
  expect(said(assigned([zero], { leader: zero }), 'the disk failed to sync')).toEqual({
    why: 'the disk failed to sync',
    todo: undefined,
  })
})
