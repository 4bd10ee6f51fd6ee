import { assert, asyncProperty, integer } from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fault } from '../test/sim/kube.ts'
import type { Seeded } from '../test/sim/seeded.ts'
import { configMap, simKube } from './kube.fixture.ts'
import { type Change, ListWatch, type ListWatchTimings } from './list-watch.ts'
import { type ConfigMap, configMaps } from './resources.ts'

const key = (name: string) => ({ namespace: 'default', name })

function watching(seed: number, timings: Partial<ListWatchTimings> = {}) {
  const around = simKube(seed)
  const client = around.server.client()
  const told: string[] = []
  const copy = new Map<string, ConfigMap>()
  const onChange = ({ before, after }: Change<ConfigMap>): void => {
    const { name } = (after ?? before)?.metadata ?? expect.fail('a change of nothing')
    expect(before, 'a change goes on from the one before it').toEqual(copy.get(name))
    if (after === undefined) copy.delete(name)
    else copy.set(name, after)
    told.push(`${name} ${before?.data?.['n'] ?? '-'} > ${after?.data?.['n'] ?? '-'}`)
  }
  const watch = new ListWatch({
    ...around,
    api: client,
    resource: configMaps,
    selection: { namespace: 'default', labelSelector: 'mine' },
    onChange,
    timings,
  })
  const set = (name: string, n: string | undefined, labels: Record<string, string> = { mine: 'yes' }): void =>
    around.server.set(configMaps, key(name), now => {
      if (n === undefined) return undefined
      return now === undefined
        ? configMap(name, n, labels)
        : { ...now, data: { n }, metadata: { ...now.metadata, labels } }
    })
  return { ...around, client, told, copy, watch, set }
}

describe('a ListWatch', () => {
  test('lists, then watches: only what is selected', async () => {
    const { time, told, watch, set } = watching(1)
    set('a', '1')
    set('other', '1', {})
    watch.start()
    expect(watch.items()).toEqual([])
    await time.finish(watch.synced)
    expect(told).toEqual(['a - > 1'])
    set('b', '1')
    set('a', '2')
    set('b', undefined)
    await time.runUntil(() => told.length === 4)
    expect(told.slice(1)).toEqual(['b - > 1', 'a 1 > 2', 'b 1 > -'])
    expect(watch.items().map(item => item.data?.['n'])).toEqual(['2'])
    expect(watch.get(key('a'))?.data).toEqual({ n: '2' })
    expect(watch.get(key('b'))).toBeUndefined()
  })

  test('goes on where a watch that was cut has ended, without a list', async () => {
    const { time, server, told, watch, set } = watching(2)
    const calls: string[] = []
    server.onCall = ({ verb }) => {
      calls.push(verb)
      return undefined
    }
    watch.start()
    await time.finish(watch.synced)
    set('a', '1')
    await time.runUntil(() => told.length === 1)
    server.cutWatches()
    set('a', '2')
    await time.runUntil(() => told.length === 2)
    expect(calls).toEqual(['list', 'watch', 'watch'])
  })

  test('goes on from the last bookmark, when what was there before is forgotten', async () => {
    const { time, server, told, watch, set } = watching(12, { watchSeconds: 100 })
    watch.start()
    await time.finish(watch.synced)
    for (let n = 0; n < 5; n += 1) server.set(configMaps, key('other'), () => configMap('other', String(n)))
    await time.runFor(70_000)
    server.compact()
    let lists = 0
    server.onCall = ({ verb }) => {
      if (verb === 'list') lists += 1
      return undefined
    }
    server.cutWatches()
    set('a', '1')
    await time.runUntil(() => told.length === 1)
    expect(lists).toBe(0)
  })

  test('is quick again after a watch that lasted', async () => {
    const { time, server, watch, clock } = watching(13)
    watch.start()
    for (const code of [500, 500, 500, 500, 500, 500]) server.failNext({ code })
    await time.finish(watch.synced)
    await time.runFor(10_000)
    server.endWatches()
    await time.runFor(1_000)
    server.cutWatches()
    const cutMs = clock.monotonicMs()
    await time.runFor(1)
    expect(watch.healthySinceMs).toBeUndefined()
    await time.runUntil(() => watch.healthySinceMs !== undefined)
    expect(clock.monotonicMs() - cutMs).toBeLessThan(1_000)
  })

  test('lists again when the history is gone, and tells what it missed', async () => {
    const { time, server, client, told, watch, set } = watching(3)
    for (const name of ['gone', 'changed', 'same', 'again']) set(name, '1')
    watch.start()
    await time.finish(watch.synced)
    told.length = 0
    client.connected = false
    set('gone', undefined)
    set('changed', '2')
    set('new', '1')
    set('again', undefined)
    set('again', '3')
    await time.runFor(1_000)
    server.compact()
    expect(told).toEqual([])
    const calls: string[] = []
    server.onCall = ({ verb }) => {
      calls.push(verb)
      return undefined
    }
    client.connected = true
    await time.runUntil(() => told.length >= 5)
    expect(calls, 'one refusal is enough').toEqual(['watch', 'list'])
    expect(told.sort()).toEqual(['again - > 3', 'again 1 > -', 'changed 1 > 2', 'gone 1 > -', 'new - > 1'])
  })

  test('a watch that fell silent is cut and gone on with', async () => {
    const { time, client, told, watch, set, clock } = watching(4, { watchSeconds: 20 })
    watch.start()
    await time.finish(watch.synced)
    await time.runUntil(() => watch.isHealthy(1_000))
    client.connected = false
    set('a', '1')
    await time.runFor(100)
    client.connected = true
    expect(watch.isHealthy(1_000)).toBe(true)
    await time.runFor(15_000)
    expect([watch.isHealthy(10_000), watch.isHealthy(30_000)]).toEqual([false, true])
    await time.runUntil(() => told.length === 1)
    expect(clock.monotonicMs()).toBeLessThan(45_000)
    expect(watch.healthySinceMs, 'silence was a failure').toBe(clock.monotonicMs())
    expect(watch.isHealthy(1_000)).toBe(true)
  })

  test('says since when it sees what happens', async () => {
    const { time, server, client, watch, clock } = watching(5)
    expect(watch.healthySinceMs).toBeUndefined()
    watch.start()
    await time.runUntil(() => watch.healthySinceMs !== undefined)
    const since = watch.healthySinceMs
    await time.runFor(400_000)
    expect(watch.healthySinceMs, 'watches that end in time are no failure').toBe(since)
    expect(watch.isHealthy(90_000)).toBe(true)
    client.connected = false
    server.cutWatches()
    await time.runFor(10)
    expect([watch.healthySinceMs, watch.isHealthy(1e9)]).toEqual([undefined, false])
    await time.runFor(60_000)
    client.connected = true
    await time.runUntil(() => watch.healthySinceMs !== undefined)
    expect(clock.monotonicMs() - (watch.healthySinceMs ?? 0)).toBeLessThan(10)
    expect(clock.monotonicMs()).toBeGreaterThan(460_000)
  })

  test('lists again now and then, and finds what no watch told', async () => {
    const { time, server, watch } = watching(6, { relistMs: 100_000, watchSeconds: 10_000 })
    let lists = 0
    server.onCall = ({ verb }) => {
      if (verb === 'list') lists += 1
      return undefined
    }
    watch.start()
    await time.finish(watch.synced)
    await time.runFor(100_000)
    expect(lists).toBe(1)
    await time.runFor(51_000)
    expect(lists).toBe(2)
    await time.runFor(850_000)
    expect(lists).toBeGreaterThanOrEqual(7)
    expect(lists).toBeLessThanOrEqual(11)
  })

  test('asks less and less often while the server fails, and as late as it is told', async () => {
    const { time, server, watch, clock } = watching(7, { backOff: { firstMs: 100, maxMs: 5_000 } })
    const at: number[] = []
    let fault: Fault | undefined = { code: 500 }
    server.onCall = () => {
      at.push(clock.monotonicMs())
      return fault
    }
    watch.start()
    await time.runFor(60_000)
    const gaps = at.slice(1).map((ms, index) => ms - (at[index] ?? 0))
    expect(at.length).toBeLessThan(30)
    expect(gaps[0]).toBeLessThan(150)
    expect(Math.max(...gaps)).toBeLessThan(5_100)
    expect(gaps.at(-1)).toBeGreaterThan(2_400)
    fault = { code: 429, retryAfterSeconds: 20 }
    await time.runFor(10_000)
    at.length = 0
    await time.runFor(60_000)
    expect(at.length).toBeGreaterThanOrEqual(2)
    expect(at.length).toBeLessThanOrEqual(3)
    fault = undefined
    await time.finish(watch.synced)
  })

  test.each([
    { what: 'at once', event: false, min: 5, max: 40 },
    { what: 'after one event', event: true, min: 100, max: 400 },
  ])('a server that ends every watch $what is not asked without a break', async ({ event, min, max }) => {
    const { time, server, watch, clock, set } = watching(8)
    let watches = 0
    server.onCall = ({ verb }) => {
      if (verb === 'watch') watches += 1
      return undefined
    }
    const end = (): void => {
      server.endWatches()
      if (event) set('a', String(clock.monotonicMs()))
      clock.after(20, end)
    }
    end()
    watch.start()
    await time.runFor(60_000)
    expect(watches).toBeGreaterThan(min)
    expect(watches).toBeLessThan(max)
  })

  test('a server that refuses to go on is asked for a list, whatever it says', async () => {
    const { time, server, watch } = watching(15)
    const calls: string[] = []
    server.onCall = ({ verb }) => {
      calls.push(verb)
      return verb === 'watch' ? { code: 504, reason: 'Timeout' } : undefined
    }
    watch.start()
    await time.runUntil(() => calls.length === 5)
    expect(calls).toEqual(['list', 'watch', 'watch', 'watch', 'list'])
  })

  test.each<Fault>([{ code: 429, retryAfterSeconds: 1 }, { code: 503 }])(
    'a server that has too much to do is asked for no lists, and ever more rarely to go on: %o',
    async busy => {
      const { time, server, told, watch, set } = watching(16)
      watch.start()
      await time.finish(watch.synced)
      const calls: string[] = []
      server.onCall = ({ verb }) => {
        calls.push(verb)
        return busy
      }
      server.cutWatches()
      await time.runFor(300_000)
      expect(new Set(calls)).toEqual(new Set(['watch']))
      expect(calls.length).toBeLessThan(35)
      calls.length = 0
      await time.runFor(900_000)
      expect(calls, 'also when it is time for a list').toContain('list')
      expect(calls.length).toBeLessThan(70)
      server.onCall = undefined
      set('a', '1')
      await time.runUntil(() => told.length === 1)
    },
  )

  test('what onChange throws ends it, and is not swallowed', async () => {
    const around = simKube(9)
    const watch = new ListWatch({
      ...around,
      api: around.server.client(),
      resource: configMaps,
      onChange: () => {
        throw new Error('a bug')
      },
    })
    watch.start()
    const stopped = watch.stopped.catch(String)
    await around.time.finish(watch.synced)
    around.server.set(configMaps, key('a'), () => configMap('a', '1'))
    await around.time.runFor(1_000)
    expect(await stopped).toContain('a bug')
    expect(around.server.watchCount).toBe(0)
  })

  test('stops: tells nothing more, leaves no watch behind', async () => {
    const { time, server, told, watch, set, clock } = watching(10)
    watch.start()
    await time.finish(watch.synced)
    await time.runFor(10)
    expect(server.watchCount).toBe(1)
    await time.finish(Promise.race([watch.stop(), new Promise<void>(resolve => clock.after(100, resolve))]))
    set('a', '1')
    await time.runFor(10)
    expect([server.watchCount, told]).toEqual([0, []])
    const listing = watching(14)
    listing.set('a', '1')
    listing.watch.start()
    await listing.time.finish(listing.watch.stop())
    await listing.time.runFor(10_000)
    expect([listing.server.watchCount, listing.told]).toEqual([0, []])
    const early = watching(11)
    early.server.onCall = () => ({ code: 500 })
    early.watch.start()
    await early.time.finish(early.watch.stop())
    await expect(early.watch.synced).rejects.toThrow('stopped')
  })

  test('whatever fails in between, the copy ends up as the server has it', async () => {
    await assert(
      asyncProperty(integer(), integer({ min: 5, max: 60 }), async (seed, steps) => {
        const it = watching(seed, {
          watchSeconds: 15,
          relistMs: 60_000,
          backOff: { firstMs: 50, maxMs: 2_000 },
        })
        const { time, random, server, client, copy, watch } = it
        it.watch.start()
        server.onCall = call => (['list', 'watch'].includes(call.verb) ? anyFault(random) : undefined)
        for (let step = 0; step < steps; step += 1) await disturb(it)
        server.onCall = undefined
        server.eventDelayMsMax = 0
        client.connected = true
        const expected = server
          .peekAll(configMaps)
          .filter(({ metadata }) => metadata.labels?.['mine'] !== undefined)
        await time.runFor(120_000)
        const byName = (items: readonly ConfigMap[]) =>
          items.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
        expect(byName(watch.items())).toEqual(expected)
        expect(byName([...copy.values()])).toEqual(expected)
        expect(watch.isHealthy(30_000)).toBe(true)
        await time.finish(watch.stop())
        expect(server.watchCount).toBe(0)
      }),
      { numRuns: 150 },
    )
  })
})

function anyFault(random: Seeded): Fault | undefined {
  if (random.chance(0.7)) return undefined
  return random.pick<Fault>([
    { code: 410, reason: 'Expired' },
    { code: 500 },
    { code: 429, retryAfterSeconds: 1 },
    { code: 0 },
    { lost: 'before' },
    { lost: 'after' },
    { lost: 'after', afterMs: 3_000 },
  ])
}

async function disturb({ time, random, server, client, set }: ReturnType<typeof watching>): Promise<void> {
  const name = random.pick(['a', 'b', 'c', 'd', 'e'])
  const acts: (() => void)[] = [
    () => set(name, String(random.below(1_000))),
    () => set(name, String(random.below(1_000))),
    () => set(name, undefined),
    () => set(name, String(random.below(1_000)), {}),
    () => {
      set(name, undefined)
      set(name, String(random.below(1_000)))
    },
    () => server.cutWatches(),
    () => server.endWatches(),
    () => server.compact(),
    () => {
      client.connected = random.chance(0.7)
    },
    () => {
      server.eventDelayMsMax = random.pick([0, 50, 2_000])
    },
  ]
  for (let count = random.below(4); count >= 0; count -= 1) acts[random.below(acts.length)]?.()
  await time.runFor(random.pick([0, 1, 3, 10, 100, 1_000, 20_000]))
}
