/** The power fails, or the process dies, at every single call to the disk of a run that does everything. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { readRecords } from '../../protocol/kafka/records.ts'
import { append, makeTopic, startSimBroker, tabletOf, type SimBroker } from '../../test/sim/broker.ts'
import type { CrashKind } from '../../test/sim/disk.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import { batchOf, bytesOf } from '../log/log.fixture.ts'

type Flush = 'fsync' | 'os'
type Told = { acknowledged: Map<number, string>; logStart: number; deleted: boolean; stopped: boolean }

/** Appends, rolls, checkpoints, retention, deletes, and a clean stop: `told` holds what was promised so far. */
async function live(sim: SimWorld, flush: Flush, told: Told): Promise<void> {
  const broker = await startSimBroker(sim)
  const settings = {
    'stele.flush': flush,
    'segment.bytes': '1100',
    'index.interval.bytes': '200',
    'retention.ms': '3600000',
  }
  await makeTopic(broker, 't', settings)
  await makeTopic(broker, 'gone', settings)
  const tablet = tabletOf(broker, 't')
  let next = 0
  const write = async (count: number): Promise<void> => {
    const timestamp = sim.clock.nowMs()
    const all = Array.from({ length: count }, async () => {
      const value = `v${next}`
      const producer = { id: 9, epoch: 0, baseSequence: next }
      next += 1
      const answer = await append(tablet, batchOf({ value, bytes: 250, timestamp, producer }), -1)
      if ('baseOffset' in answer) told.acknowledged.set(answer.baseOffset, `${value}#0`)
    })
    await Promise.all(all)
  }
  await write(1)
  await write(7)
  await tablet.checkpoint()
  await write(5)
  await append(tabletOf(broker, 'gone'), batchOf(), -1)
  const deleting = broker.router.deleteTopic('gone', broker.router.topics().get('gone')?.id ?? '')
  told.logStart = await tablet.deleteRecordsBefore(offset(6))
  await deleting
  told.deleted = true
  await write(3)
  await new Promise<void>(done => sim.world.clock.after(7_200_000, done))
  await tablet.applyRetention(Infinity)
  told.logStart = tablet.logStart
  await write(6)
  told.stopped = await broker.stop()
}

async function check(sim: SimWorld, broker: SimBroker, told: Told, mayLose: boolean): Promise<void> {
  const tablet = broker.tablets.find('t', 0)
  if (tablet === undefined) {
    expect(told.acknowledged.size).toBe(0)
    return
  }
  expect([tablet.role, tablet.offlineReason]).toEqual(['leader', undefined])
  if (!mayLose) expect(tablet.logStart).toBeGreaterThanOrEqual(told.logStart)
  for (let at: number = tablet.logStart; at < tablet.highWatermark; at++) {
    const bytes = bytesOf(await sim.clock.finish(Promise.resolve(tablet.read(offset(at), 1, true))))
    const [record] = readRecords(bytes, 0, 1000)
    expect(record?.offset).toBe(at)
    const due = told.acknowledged.get(at)
    if (due !== undefined) expect(String(record?.value)).toBe(due)
  }
  if (!mayLose) expect(tablet.highWatermark).toBeGreaterThan(Math.max(-1, ...told.acknowledged.keys()))
  if (told.deleted) expect(broker.tablets.find('gone', 0)).toBeUndefined()
  // The producer knows where it was, and goes on from there.
  const producer = { id: 9, epoch: 0, baseSequence: tablet.highWatermark }
  const answer = await sim.clock.finish(append(tablet, batchOf({ value: 'after', producer }), -1))
  expect(answer).toEqual({ baseOffset: tablet.logEnd - 1 })
}

/** Answers how many calls there were, and what was promised. */
async function crashAt(
  at: number,
  flush: Flush,
  kind: CrashKind | 'kill',
): Promise<{ calls: number; told: Told }> {
  const sim = simWorld({ seed: 1000 + at })
  const told: Told = { acknowledged: new Map(), logStart: 0, deleted: false, stopped: false }
  let calls = 0
  sim.disk.onCall = () => {
    if (++calls !== at) return
    if (kind === 'kill') sim.kill()
    else sim.crash(kind)
  }
  const run: { ended: boolean } = { ended: false }
  live(sim, flush, told).then(
    () => (run.ended = true),
    () => (run.ended = true),
  )
  await sim.clock.runUntil(() => run.ended || calls >= at, 10_000_000)
  sim.disk.onCall = undefined
  sim.kill()
  const mayLose = flush === 'os' && kind !== 'kill' && kind !== 'keep' && !told.stopped
  for (let again = 0; again < 2; again++) {
    const broker = await sim.clock.finish(startSimBroker(sim))
    await check(sim, broker, told, mayLose)
    if (again === 0) sim.crash('lose')
  }
  return { calls, told }
}

/** What a dead process leaves unhandled is nobody's; whatever else nobody handles fails the test. */
const listeners = process.listeners('unhandledRejection')
beforeAll(() => {
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', (reason, promise) => {
    if ((reason as NodeJS.ErrnoException).code === 'EBADF') return
    for (const listener of listeners) listener(reason, promise)
  })
})
afterAll(() => {
  process.removeAllListeners('unhandledRejection')
  for (const listener of listeners) process.on('unhandledRejection', listener)
})

const kinds = ['lose', 'keep', 'tear', 'kill'] as const
/** All of them take minutes: by default every so many, another share in each of the eight. */
const stride = Number(process.env['STELE_CRASH_STRIDE'] ?? 7)

test.each(['fsync', 'os'] as const)(
  'at any call (stele.flush=%s) nothing is lost that was promised',
  { timeout: 600_000 },
  async flush => {
    const { calls, told } = await crashAt(Infinity, flush, 'kill')
    expect(told).toMatchObject({ deleted: true, stopped: true, logStart: 16 })
    expect(calls).toBeGreaterThan(250)
    for (const [i, kind] of kinds.entries()) {
      for (let at = 1 + ((i * 5 + (flush === 'os' ? 2 : 0)) % stride); at <= calls; at += stride) {
        try {
          await crashAt(at, flush, kind)
        } catch (error) {
          throw new Error(`${kind} at call ${at} of ${calls}`, { cause: error })
        }
      }
    }
  },
)
