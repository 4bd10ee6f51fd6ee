import { assert, asyncProperty, integer } from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fault } from '../test/sim/kube.ts'
import { Election, type ElectionOptions } from './election.ts'
import { simKube, skewed } from './kube.fixture.ts'
import { leases } from './resources.ts'

const lease = { namespace: 'default', name: 'leader' }
const microTimed = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/

function elections(seed: number) {
  const around = simKube(seed)
  /** Who acts as the leader: from being told to the end of its signal. */
  const leaders = new Set<string>()
  const history: string[] = []
  const start = (
    identity: string,
    {
      rate = 1,
      offsetMs = 0,
      ...options
    }: Partial<ElectionOptions> & { rate?: number; offsetMs?: number } = {},
  ) => {
    const process = { alive: true }
    const clock = skewed(around.time.clockOf(process), rate, offsetMs)
    const client = around.server.client(clock, identity)
    const onLeading = (signal: AbortSignal): Promise<void> => {
      expect([...leaders], `${identity} leads`).toEqual([])
      leaders.add(identity)
      history.push(identity)
      return new Promise(resolve => {
        signal.addEventListener('abort', () => {
          leaders.delete(identity)
          resolve()
        })
      })
    }
    const election = new Election({ ...around, clock, api: client, lease, identity, onLeading, ...options })
    election.start()
    const kill = (): void => {
      process.alive = false
      leaders.delete(identity)
    }
    return { election, client, kill, identity, process }
  }
  return { ...around, leaders, history, start }
}

describe('an Election', () => {
  test('lets one lead, at once; the others wait', async () => {
    const { time, start, leaders, server } = elections(1)
    const first = start('a')
    await time.runUntil(() => first.election.isLeading)
    const second = start('b')
    await time.runFor(120_000)
    expect([...leaders]).toEqual(['a'])
    expect([first.election.isLeading, second.election.isLeading]).toEqual([true, false])
    expect(second.election.holder).toBe(first.election.identity)
    const { spec } = server.peek(leases, lease) ?? expect.fail('no Lease')
    expect(spec).toMatchObject({
      holderIdentity: first.election.identity,
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      acquireTime: expect.stringMatching(microTimed),
      renewTime: expect.stringMatching(microTimed),
    })
  })

  test('a leader that ends gives the Lease back, and another need not wait', async () => {
    const { time, start, leaders, server, clock } = elections(2)
    const first = start('a')
    await time.runUntil(() => leaders.has('a'))
    const second = start('b')
    await time.runFor(10_000)
    const beganMs = clock.monotonicMs()
    await time.finish(first.election.stop())
    expect(first.election.isLeading).toBe(false)
    await time.runUntil(() => second.election.isLeading)
    expect(clock.monotonicMs() - beganMs).toBeLessThan(3_100)
    expect(server.peek(leases, lease)?.spec?.leaseTransitions).toBe(1)
  })

  test('gives the Lease back only when its work has ended', async () => {
    const { time, start, server } = elections(3)
    const work = Promise.withResolvers<void>()
    const { election } = start('a', { onLeading: () => work.promise })
    await time.runUntil(() => election.isLeading)
    const stopped = election.stop()
    await time.runFor(5_000)
    expect(server.peek(leases, lease)?.spec?.holderIdentity).toBe(election.identity)
    expect(election.isLeading).toBe(false)
    work.resolve()
    await time.finish(stopped)
    expect(server.peek(leases, lease)?.spec?.holderIdentity).toBe('')
  })

  test('a killed leader is followed after the whole time of its Lease, whatever the wall clocks say', async () => {
    for (const offsetMs of [-86_400_000, 86_400_000]) {
      const { time, start, leaders, clock } = elections(4)
      const first = start('a')
      await time.runUntil(() => leaders.has('a'))
      const second = start('b', { offsetMs })
      await time.runFor(30_000)
      expect([...leaders]).toEqual(['a'])
      first.kill()
      const killedMs = clock.monotonicMs()
      await time.runUntil(() => second.election.isLeading)
      expect(clock.monotonicMs() - killedMs).toBeGreaterThan(12_000)
      expect(clock.monotonicMs() - killedMs).toBeLessThan(20_000)
    }
  })

  test('a Lease that was long over when it is first seen is waited for all the same', async () => {
    const { time, start, server, clock } = elections(5)
    server.set(leases, lease, () => ({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease,
      spec: {
        holderIdentity: 'long gone',
        leaseDurationSeconds: 30,
        renewTime: '2001-01-01T00:00:00.000000Z',
      },
    }))
    const { election } = start('a')
    await time.runUntil(() => election.isLeading)
    expect(clock.monotonicMs(), 'the duration the holder wrote').toBeGreaterThan(30_000)
    expect(clock.monotonicMs()).toBeLessThan(34_000)
  })

  test('a leader that is cut off leads no more before another may, and comes back', async () => {
    const { time, start, leaders, history, clock } = elections(6)
    const first = start('a')
    await time.runUntil(() => leaders.has('a'))
    const second = start('b')
    await time.runFor(20_000)
    first.client.connected = false
    const cutMs = clock.monotonicMs()
    await time.runUntil(() => !leaders.has('a'))
    expect(clock.monotonicMs() - cutMs).toBeLessThanOrEqual(10_000)
    await time.runUntil(() => leaders.has('b'))
    first.client.connected = true
    await time.runFor(60_000)
    expect([...leaders]).toEqual(['b'])
    second.kill()
    await time.runUntil(() => leaders.has('a'))
    expect(history).toEqual(['a', 'b', 'a'])
  })

  test('one request that is lost or hangs does not end a leadership', async () => {
    const { time, start, leaders, history, server } = elections(7)
    start('a')
    await time.runUntil(() => leaders.has('a'))
    const faults: Fault[] = [
      { lost: 'after' },
      { lost: 'before', afterMs: 30_000 },
      { code: 500 },
      { lost: 'after', afterMs: 30_000 },
    ]
    for (const fault of faults) {
      server.failNext(fault)
      await time.runFor(30_000)
    }
    expect(history).toEqual(['a'])
  })

  test('a leader whose Lease another has taken leads no more', async () => {
    const { time, start, leaders, server } = elections(8)
    start('a')
    await time.runUntil(() => leaders.has('a'))
    server.set(leases, lease, now =>
      now === undefined ? undefined : { ...now, spec: { ...now.spec, holderIdentity: 'thief' } },
    )
    await time.runFor(4_100)
    expect([...leaders]).toEqual([])
    expect(server.peek(leases, lease)?.spec?.holderIdentity).toBe('thief')
  })

  test('what the work throws ends it, and is not swallowed', async () => {
    const { time, start } = elections(9)
    const { election } = start('a', { onLeading: () => Promise.reject(new Error('a bug')) })
    const stopped = election.stopped.catch(String)
    expect(await time.finish(stopped)).toContain('a bug')
    expect(election.isLeading).toBe(false)
  })

  test('whatever fails: never two at once, and in the end one', async () => {
    await assert(
      asyncProperty(integer(), async seed => {
        const { time, random, start, leaders, server } = elections(seed)
        const any = () => ({ rate: random.between(0.9, 1.1), offsetMs: random.between(0, 1e9) })
        let names = 0
        const running = [0, 1, 2].map(() => start(`p${++names}`, any()))
        server.onCall = () =>
          random.chance(0.2)
            ? random.pick<Fault>([
                { code: 500 },
                { lost: 'before' },
                { lost: 'after' },
                { lost: 'after', afterMs: 30_000 },
              ])
            : undefined
        for (let step = 0; step < 60; step += 1) {
          const at = random.below(running.length)
          const one = running[at]
          if (one === undefined) continue
          const chance = random.fraction()
          if (chance < 0.3) one.client.connected = !one.client.connected
          else if (chance < 0.4) {
            one.kill()
            running[at] = start(`p${++names}`, any())
          } else if (chance < 0.5) {
            one.client.connected = true
            await time.finish(one.election.stop())
            running[at] = start(`p${++names}`, any())
          }
          await time.runFor(random.pick([10, 500, 3_000, 12_000, 30_000]))
          expect(leaders.size).toBeLessThanOrEqual(1)
        }
        server.onCall = undefined
        for (const { client } of running) client.connected = true
        await time.runFor(60_000)
        expect(leaders.size).toBe(1)
        expect(running.filter(({ election }) => election.isLeading)).toHaveLength(1)
        await time.finish(Promise.all(running.map(({ election }) => election.stop())))
      }),
      { numRuns: 60 },
    )
  })
})
