import { describe, expect, test } from 'vitest'
import { SimClock } from './clock.ts'

const started = () => {
  const sim = new SimClock(1_000)
  const process = { alive: true }
  return { sim, process, clock: sim.clockOf(process) }
}

describe('simulated time', () => {
  test('stands still until it is told to pass', async () => {
    const { sim, clock } = started()
    const came: number[] = []
    clock.after(5, () => came.push(clock.monotonicMs()))
    clock.after(5.5, () => came.push(clock.monotonicMs()))
    await sim.settle()
    expect(came).toEqual([])
    await sim.runFor(5)
    expect(came).toEqual([5])
    await sim.runFor(10)
    expect(came).toEqual([5, 5.5])
    expect(clock.monotonicMs()).toBe(15)
    expect(clock.nowMs()).toBe(1_015)
  })

  test('a timer sees exactly its moment, with timers that timers start, however far apart', async () => {
    const { sim, clock } = started()
    const came: number[] = []
    const again = (): void => {
      came.push(clock.monotonicMs())
      clock.after(86_400_000, again)
    }
    again()
    await sim.runFor(3 * 86_400_000)
    expect(came).toEqual([0, 1, 2, 3].map(day => day * 86_400_000))
  })

  test('settling runs what is due now through all its microtasks and turns', async () => {
    const { sim, clock } = started()
    let depth = 0
    const dive = async (): Promise<void> => {
      for (; depth < 1_000; depth += 1) await Promise.resolve()
      clock.endOfTurn(() => {
        clock.after(0, () => {
          depth += 1
        })
      })
    }
    void dive()
    await sim.settle()
    expect(depth).toBe(1_001)
  })

  test('timers of one moment come in the order asked, and one may cancel the next', async () => {
    const { sim, clock } = started()
    const came: string[] = []
    clock.after(5, () => {
      came.push('first')
      last.cancel()
    })
    clock.after(5, () => came.push('second'))
    const last = clock.after(5, () => came.push('cancelled'))
    await sim.runFor(5)
    expect(came).toEqual(['first', 'second'])
  })

  test('a timer of no delay that starts itself again does not hold up the end of the turn', async () => {
    const { sim, clock } = started()
    const came: string[] = []
    const again = (left: number): void => {
      came.push(`timer ${left}`)
      clock.endOfTurn(() => came.push(`end ${left}`))
      if (left > 0) clock.after(0, () => again(left - 1))
    }
    clock.after(0, () => again(2))
    await sim.settle()
    expect(came).toEqual(['timer 2', 'end 2', 'timer 1', 'end 1', 'timer 0', 'end 0'])
  })

  test('the wall clock jumps alone', async () => {
    const { sim, clock } = started()
    sim.jump(-500)
    await sim.runFor(1)
    expect(clock.nowMs()).toBe(501)
    expect(clock.monotonicMs()).toBe(1)
  })

  test('waiting ends with what was awaited, at its moment', async () => {
    const { sim, clock } = started()
    let came = false
    clock.after(7, () => {
      came = true
    })
    clock.after(9, () => expect.fail('too far'))
    await sim.runUntil(() => came)
    expect(clock.monotonicMs()).toBe(7)
    const failing = new Promise((_, reject) => {
      clock.after(1, () => reject(new Error('refused')))
    })
    await expect(sim.finish(failing)).rejects.toThrow('refused')
    expect(clock.monotonicMs()).toBe(8)
  })

  test('waiting for what cannot come is an error, not a hang', async () => {
    const { sim, clock } = started()
    await expect(sim.runUntil(() => false)).rejects.toThrow('nothing is left to happen')
    const again = (): void => {
      clock.after(10, again)
    }
    again()
    await expect(sim.runUntil(() => false, 1_000)).rejects.toThrow('did not come in 1000 ms')
  })

  test('what a timer throws comes out where time was let pass', async () => {
    const { sim, clock } = started()
    clock.after(1, () => {
      throw new Error('broken')
    })
    await expect(sim.runFor(2)).rejects.toThrow('broken')
  })

  test('nothing of a dead process happens', async () => {
    const { sim, process, clock } = started()
    const came: string[] = []
    clock.after(1, () => came.push('timer'))
    clock.endOfTurn(() => came.push('end of turn'))
    process.alive = false
    await sim.runFor(10)
    expect(came).toEqual([])
  })
})
