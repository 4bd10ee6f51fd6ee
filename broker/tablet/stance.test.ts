import { expect, test } from 'vitest'
import { brokerId, epoch, incarnation } from '../../base/quantities.ts'
import type { TabletAssignment } from '../../control/model.ts'
import { lostWith, missingWith, stanceOf, type Stance } from './stance.ts'

const self = brokerId(0)
const run = { self, incarnation: incarnation(5), diskSince: incarnation(3) }

/** `isr` as broker/run. */
function assigned(leader: number | undefined, isr: readonly string[], inEpoch = 7): TabletAssignment {
  return {
    epoch: epoch(inEpoch),
    version: 9,
    leader: leader === undefined ? undefined : brokerId(leader),
    replicas: [0, 1, 2].map(brokerId),
    adding: [],
    removing: [],
    isr: isr.map(one => {
      const [broker, of] = one.split('/').map(Number)
      return { broker: brokerId(broker ?? -1), incarnation: incarnation(of ?? -1) }
    }),
  }
}

test.each<[string, TabletAssignment, Stance]>([
  ['an epoch given to this run', assigned(0, ['0/5']), 'lead'],
  ['what an earlier run led', assigned(0, ['0/4', '1/9']), 'claim'],
  ['a later run of this broker', assigned(0, ['0/6']), 'follow'],
  ['another leader', assigned(1, ['1/1', '0/5']), 'follow'],
  ['another leader, not in sync', assigned(1, ['1/1']), 'follow'],
  ['no leader, in sync', assigned(undefined, ['1/1', '0/5']), 'claim'],
  ['no leader, in sync in an earlier run', assigned(undefined, ['1/1', '0/4']), 'follow'],
  ['no leader, the last one in sync, on this disk', assigned(undefined, ['0/4']), 'claim'],
  ['no leader, the last one in sync, on another disk', assigned(undefined, ['0/2']), 'follow'],
  ['no leader, not in sync', assigned(undefined, ['1/1']), 'follow'],
])('a replica that comes up: %s', (_what, now, stance) => {
  expect(stanceOf({ serves: false, assignment: undefined }, now, run)).toBe(stance)
})

test.each<[string, boolean, TabletAssignment, TabletAssignment, Stance]>([
  ['leads on when others leave the set', true, assigned(0, ['0/5', '1/1']), assigned(0, ['0/5']), 'lead on'],
  ['takes an epoch handed over to it', false, assigned(1, ['1/1', '0/5'], 6), assigned(0, ['0/5']), 'lead'],
  [
    'claims a leadership that was moved within an epoch',
    false,
    assigned(1, ['1/1', '0/5']),
    assigned(0, ['0/5']),
    'claim',
  ],
  ['steps down', true, assigned(0, ['0/5', '1/1'], 6), assigned(1, ['1/1']), 'follow'],
  [
    'steps down before a later run of itself',
    true,
    assigned(0, ['0/5'], 6),
    assigned(0, ['0/6'], 7),
    'follow',
  ],
])('a replica %s', (_what, serves, before, now, stance) => {
  expect(stanceOf({ serves, assignment: before }, now, run)).toBe(stance)
})

test('nothing begins empty in the name of a replica that had data on another disk', () => {
  expect(lostWith(assigned(0, ['0/2']), self, run.diskSince)).toMatch(/run 2 on another disk.*since run 3/)
  expect(lostWith(assigned(0, ['0/3']), self, run.diskSince)).toBeUndefined()
  expect(lostWith(assigned(1, ['1/1']), self, run.diskSince)).toBeUndefined()
  expect(lostWith(assigned(0, ['0/3']), self, run.diskSince, incarnation(4))).toMatch(/lost before run 4/)
  expect(lostWith(assigned(0, ['0/4']), self, run.diskSince, incarnation(4))).toBeUndefined()
})

test('nothing begins empty in the place of a directory that an earlier run had', () => {
  const placed = (isr: readonly string[]) => ({ ...assigned(0, isr), version: 0 })
  expect(missingWith(assigned(0, ['0/4']), run, false)).toMatch(/run 4, and the directory.*bring/)
  expect(missingWith(assigned(1, ['1/1', '0/4']), run, false)).toMatch(/run 4/)
  expect(missingWith(placed(['0/4']), run, true)).toMatch(/take \.stray off/)
  expect(missingWith(assigned(0, ['0/5']), run, true)).toMatch(/\.stray/)
  expect(missingWith(assigned(0, ['0/5']), run, false)).toBeUndefined()
  expect(missingWith(placed(['0/4']), run, false)).toBeUndefined()
  // Nobody has led it, though it was told to move.
  const moving = { ...assigned(0, ['0/4'], 0), removing: [brokerId(0)] }
  expect(missingWith(moving, run, false)).toBeUndefined()
  expect(missingWith({ ...moving, epoch: epoch(1) }, run, false)).toMatch(/run 4/)
  expect(missingWith(assigned(1, ['1/1']), run, true)).toBeUndefined()
})

test('a directory that is missing and was never noted was never there, as far as runs noted them', () => {
  expect(missingWith(assigned(1, ['1/1', '0/4']), run, false, false, incarnation(4))).toBeUndefined()
  expect(missingWith(assigned(1, ['1/1', '0/4']), run, false, true, incarnation(4))).toMatch(/missing/)
  expect(missingWith(assigned(1, ['1/1', '0/3']), run, false, false, incarnation(4))).toMatch(/missing/)
})

test('who began anew leads and claims nothing in the name of an earlier run', () => {
  const replica = { serves: false, bornIn: incarnation(5), assignment: undefined }
  expect(stanceOf(replica, assigned(0, ['0/4', '1/1']), run)).toBe('follow')
  // The others left meanwhile.
  expect(stanceOf(replica, assigned(undefined, ['0/4']), run)).toBe('follow')
  expect(stanceOf(replica, assigned(0, ['0/4']), run)).toBe('follow')
  // Its copy was let in again, as what it is.
  expect(stanceOf(replica, assigned(undefined, ['0/5']), run)).toBe('claim')
  // A run before this one began anew, and was or was not let in.
  const before = { ...replica, bornIn: incarnation(4) }
  expect(stanceOf(before, assigned(0, ['0/3', '1/1']), run)).toBe('follow')
  expect(stanceOf(before, assigned(0, ['0/4', '1/1']), run)).toBe('claim')
})
