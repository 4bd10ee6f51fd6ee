import { describe, expect, test } from 'vitest'
import type { Clock } from '../../base/world.ts'

export type ClockUnderTest = {
  readonly clock: Clock
  /** Lets time pass until the promise is settled. */
  readonly finish: <Result>(promise: Promise<Result>) => Promise<Result>
}

/** What every `Clock` of `base/world.ts` promises. */
export function clockContract(name: string, make: () => ClockUnderTest): void {
  describe(`the clock contract, ${name}`, () => {
    test('wall time is milliseconds since 1970, in whole numbers', () => {
      const nowMs = make().clock.nowMs()
      expect(Number.isInteger(nowMs)).toBe(true)
      expect(new Date(nowMs).getUTCFullYear()).toBeGreaterThanOrEqual(2026)
    })

    test('a timer comes after its delay, and both times have gone on by then', async () => {
      const { clock, finish } = make()
      const wallMs = clock.nowMs()
      const startMs = clock.monotonicMs()
      await finish(passing(clock, 20))
      expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(19)
      expect(clock.nowMs() - wallMs).toBeGreaterThanOrEqual(18)
    })

    test('timers come in the order of their time, not of their making', async () => {
      const { clock, finish } = make()
      const came: number[] = []
      clock.after(30, () => came.push(30))
      clock.after(0, () => came.push(0))
      clock.after(10, () => came.push(10))
      await finish(passing(clock, 45))
      expect(came).toEqual([0, 10, 30])
    })

    test('a cancelled timer never comes, and cancelling one that came is no error', async () => {
      const { clock, finish } = make()
      const came: string[] = []
      const cancelled = clock.after(5, () => came.push('cancelled'))
      const kept = clock.after(5, () => came.push('kept'))
      cancelled.cancel()
      await finish(passing(clock, 20))
      kept.cancel()
      expect(came).toEqual(['kept'])
    })

    test('a timer of months does not come at once', async () => {
      const { clock, finish } = make()
      let came = false
      const timer = clock.after(2 ** 40, () => {
        came = true
      })
      await finish(passing(clock, 20))
      timer.cancel()
      expect(came).toBe(false)
    })

    test('the end of the turn comes after the microtasks of the turn, in the order asked, before a later timer', async () => {
      const { clock, finish } = make()
      const came: string[] = []
      const ended = new Promise<void>(resolve => {
        clock.after(0, () => {
          clock.endOfTurn(() => came.push('first end'))
          clock.endOfTurn(() => came.push('second end'))
          clock.after(10, () => {
            came.push('timer')
            resolve()
          })
          void Promise.resolve().then(() => came.push('microtask'))
          came.push('turn')
        })
      })
      await finish(ended)
      expect(came).toEqual(['turn', 'microtask', 'first end', 'second end', 'timer'])
    })

    test('what the end of a turn asks for comes at the end of the next turn', async () => {
      const { clock, finish } = make()
      const came: number[] = []
      await finish(
        new Promise<void>(resolve => {
          clock.endOfTurn(() => {
            clock.endOfTurn(() => {
              came.push(2)
              resolve()
            })
            came.push(1)
          })
        }),
      )
      expect(came).toEqual([1, 2])
    })
  })
}

const passing = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise(resolve => {
    clock.after(delayMs, resolve)
  })
