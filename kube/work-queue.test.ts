import { assert, asyncProperty, integer } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvariantViolation } from '../base/assert.ts'
import { ApiError } from './api.ts'
import { simKube } from './kube.fixture.ts'
import { type QueueObservation, type Work, WorkQueue, type WorkQueueOptions } from './work-queue.ts'

function working(seed: number, work: Work, options: Partial<WorkQueueOptions> = {}) {
  const around = simKube(seed)
  const seen: QueueObservation[] = []
  const queue = new WorkQueue({
    ...around,
    work,
    onObservation: observation => seen.push(observation),
    ...options,
  })
  const waitFor = (ms: number): Promise<void> => new Promise(resolve => around.clock.after(ms, resolve))
  return { ...around, queue, seen, waitFor }
}

describe('a WorkQueue', () => {
  test('works on each key once, however often it was added', async () => {
    const worked: string[] = []
    const { time, queue } = working(
      1,
      async key => {
        worked.push(key)
      },
      { concurrency: 1 },
    )
    for (const key of ['a', 'b', 'a', 'b', 'c']) queue.add(key)
    await time.runFor(1_000)
    expect(worked).toEqual(['a', 'b', 'c'])
    queue.add('a')
    await time.settle()
    expect(worked).toEqual(['a', 'b', 'c', 'a'])
  })

  test('works again on what was added meanwhile, one after the other', async () => {
    const log: string[] = []
    const it = working(2, async key => {
      log.push(`${key} begins`)
      await it.waitFor(10)
      log.push(`${key} ends`)
    })
    it.queue.add('a')
    await it.time.runFor(5)
    it.queue.add('a')
    it.queue.add('a')
    await it.time.runFor(100)
    expect(log).toEqual(['a begins', 'a ends', 'a begins', 'a ends'])
  })

  test('comes again after the time a run asks for, earlier when it is added', async () => {
    const at: number[] = []
    const { time, queue, clock } = working(3, async () => {
      at.push(clock.monotonicMs())
      return at.length < 4 ? { againAfterMs: 1_000 } : undefined
    })
    queue.add('a')
    await time.runFor(1_500)
    queue.add('a')
    await time.runFor(10_000)
    expect(at).toEqual([0, 1_000, 1_500, 2_500])
  })

  test('a failed run comes again, later each time, and at once when all is well again', async () => {
    const at: number[] = []
    let fails = true
    const { time, queue, clock, lines } = working(
      4,
      async () => {
        at.push(clock.monotonicMs())
        if (fails) throw new Error('not yet')
      },
      { backOff: { firstMs: 100, maxMs: 1_000 } },
    )
    queue.add('a')
    await time.runFor(10_000)
    const gaps = at.slice(1).map((ms, index) => ms - (at[index] ?? 0))
    expect(gaps[0]).toBeLessThanOrEqual(100)
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(500)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1_000)
    expect(lines.at(-1)?.message).toContain('comes again')
    fails = false
    await time.runFor(1_000)
    const runs = at.length
    await time.runFor(100_000)
    expect(at.length).toBe(runs)
    fails = true
    queue.add('a')
    await time.runFor(101)
    expect(at.length, 'a success forgets the failures').toBe(runs + 2)
  })

  test('waits as long as the API server asks', async () => {
    let runs = 0
    const { time, queue } = working(5, async () => {
      runs += 1
      throw new ApiError('too many', { code: 429, retryAfterSeconds: 30 })
    })
    queue.add('a')
    await time.runFor(29_000)
    expect(runs).toBe(1)
    await time.runFor(2_000)
    expect(runs).toBe(2)
  })

  test('works on so many keys at once and no more', async () => {
    let now = 0
    let most = 0
    const it = working(
      6,
      async () => {
        now += 1
        most = Math.max(most, now)
        await it.waitFor(10)
        now -= 1
      },
      { concurrency: 3 },
    )
    for (let n = 0; n < 20; n += 1) it.queue.add(String(n))
    await it.time.settle()
    expect(it.queue.depth).toBe(17)
    await it.time.runFor(69)
    expect([most, it.queue.depth, now]).toEqual([3, 0, 2])
    await it.time.runFor(2)
    expect(now).toBe(0)
  })

  test('a run that overstays is told, counts as failed, and keeps its key until it ends', async () => {
    const signals: AbortSignal[] = []
    const it = working(
      7,
      async (_, signal) => {
        signals.push(signal)
        await it.waitFor(signals.length === 1 ? 5_000 : 1)
      },
      { deadlineMs: 1_000 },
    )
    it.queue.add('a')
    await it.time.runFor(1_001)
    expect(signals[0]?.aborted).toBe(true)
    it.queue.add('a')
    await it.time.runFor(3_000)
    expect(signals).toHaveLength(1)
    await it.time.runFor(2_000)
    expect(signals).toHaveLength(2)
    expect(it.seen.filter(({ kind }) => kind === 'ended')).toEqual([
      { kind: 'ended', result: 'error', seconds: 5 },
      { kind: 'ended', result: 'success', seconds: expect.closeTo(0.001) },
    ])
  })

  test('stops: aborts what runs, waits for it, begins nothing', async () => {
    const log: string[] = []
    const it = working(
      8,
      async (key, signal) => {
        log.push(`${key} ${signal.aborted}`)
        await it.waitFor(100)
        log.push(`${key} ${signal.aborted}`)
        return { againAfterMs: 1 }
      },
      { concurrency: 1 },
    )
    it.queue.add('a')
    it.queue.add('b')
    await it.time.runFor(10)
    await it.time.finish(it.queue.stop())
    it.queue.add('c')
    await it.time.runFor(1_000)
    expect(log).toEqual(['a false', 'a true'])
    const idle = working(9, async () => undefined)
    await idle.time.finish(idle.queue.stop())
  })

  test('a broken invariant stops it', async () => {
    let runs = 0
    const { time, queue } = working(10, async () => {
      runs += 1
      throw new InvariantViolation('this must hold')
    })
    const stopped = queue.stopped.catch(String)
    queue.add('a')
    await time.runFor(10)
    queue.add('b')
    await time.runFor(10_000)
    expect(await stopped).toContain('this must hold')
    expect(runs).toBe(1)
  })

  test('tells what metrics need', async () => {
    const it = working(
      11,
      async key => {
        await it.waitFor(2_000)
        if (key === 'b' && it.seen.every(({ kind }) => kind !== 'retried')) throw new Error('once')
        return key === 'a' && it.seen.length < 6 ? { againAfterMs: 1 } : undefined
      },
      { concurrency: 1 },
    )
    it.queue.add('b')
    it.queue.add('c')
    await it.time.runFor(10_000)
    expect(it.seen).toEqual([
      { kind: 'added' },
      { kind: 'depth', depth: 1 },
      { kind: 'added' },
      { kind: 'depth', depth: 2 },
      { kind: 'depth', depth: 1 },
      { kind: 'begun', waitedSeconds: 0 },
      { kind: 'ended', result: 'error', seconds: 2 },
      { kind: 'retried' },
      { kind: 'depth', depth: 0 },
      { kind: 'begun', waitedSeconds: 2 },
      { kind: 'depth', depth: 1 },
      { kind: 'ended', result: 'success', seconds: 2 },
      { kind: 'depth', depth: 0 },
      { kind: 'begun', waitedSeconds: expect.closeTo(1.95, 1) },
      { kind: 'ended', result: 'success', seconds: 2 },
    ])
  })

  test('whatever comes: no key twice at once, none forgotten, never more than so many', async () => {
    await assert(
      asyncProperty(integer(), integer({ min: 1, max: 4 }), async (seed, concurrency) => {
        const running = new Set<string>()
        /** How often a key was added, and how much of that a run that ended well has seen. */
        const added = new Map<string, number>()
        const served = new Map<string, number>()
        let calm = false
        const it = working(
          seed,
          async key => {
            expect(running.has(key), 'a key runs once at a time').toBe(false)
            running.add(key)
            expect(running.size).toBeLessThanOrEqual(concurrency)
            const seen = added.get(key) ?? 0
            await it.waitFor(it.random.pick([0, 1, 50, 400]))
            running.delete(key)
            if (!calm && it.random.chance(0.3)) throw new Error('by chance')
            served.set(key, seen)
            return !calm && it.random.chance(0.2) ? { againAfterMs: it.random.below(100) } : undefined
          },
          { concurrency, deadlineMs: 300, backOff: { firstMs: 10, maxMs: 500 } },
        )
        for (let step = 0; step < 60; step += 1) {
          const key = it.random.pick(['a', 'b', 'c', 'd', 'e', 'f'])
          added.set(key, (added.get(key) ?? 0) + 1)
          it.queue.add(key)
          if (it.random.chance(0.5)) await it.time.runFor(it.random.pick([0, 1, 30, 300]))
        }
        calm = true
        await it.time.runFor(30_000)
        expect(served).toEqual(added)
        expect(it.queue.depth).toBe(0)
        await it.time.finish(it.queue.stop())
      }),
      { numRuns: 100 },
    )
  })
})
