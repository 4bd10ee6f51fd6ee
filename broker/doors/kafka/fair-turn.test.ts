import { expect, test } from 'vitest'
import { KIB, MIB } from '../../../base/quantities.ts'
import type { Clock } from '../../../base/world.ts'
import { realWorld } from '../../world/world.ts'
import { FairTurn, type Share } from './fair-turn.ts'

class Turns {
  readonly #acts: (() => void)[] = []
  readonly clock: Clock = { ...realWorld().clock, endOfTurn: act => void this.#acts.push(act) }
  readonly turn = new FairTurn(this.clock)

  end(): void {
    for (const act of this.#acts.splice(0)) act()
  }
}

const connection = (goOn: () => void = () => {}): Share => ({ turn: 0, bytes: 0, goOn })

test('who reads alone reads on, up to a bound', () => {
  const { turn } = new Turns()
  const alone = connection()
  expect(turn.read(alone, MIB)).toBe(false)
  expect(turn.read(alone, MIB)).toBe(true)
})

test('when much was read in a turn, each has had his share after a quarter of a megabyte', () => {
  const { turn } = new Turns()
  turn.read(connection(), 2 * MIB)
  const modest = connection()
  expect(turn.read(modest, 255 * KIB)).toBe(false)
  expect(turn.read(modest, KIB)).toBe(true)
})

test('at the end of the turn those who paused go on, and all have their share again', () => {
  const turns = new Turns()
  let goneOn = 0
  const greedy = connection(() => (goneOn += 1))
  expect(turns.turn.read(greedy, 3 * MIB)).toBe(true)
  expect(goneOn).toBe(0)
  turns.end()
  expect(goneOn).toBe(1)
  expect(turns.turn.read(greedy, MIB)).toBe(false)
  turns.end()
  expect(goneOn).toBe(1)
})
