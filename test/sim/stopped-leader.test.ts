/** A leader that is stopped while another one begins to lead, and goes on later: nobody who waits at it for acks=all is left waiting. */
import { expect, test } from 'vitest'
import { batchOf } from '../../broker/log/log.fixture.ts'
import { append, type Appended } from './broker.ts'
import { SimCluster } from './cluster.ts'

const stories = Number(process.env['STELE_HISTORIES'] ?? 6)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)
const limits = { timeout: 120_000 }
const seeds = Array.from({ length: stories }, (_, i) => firstSeed + i)
/** What librdkafka gives them. */
const timeoutMs = 30_000
const lagMsMax = 10_000

type What = 'sees changes late' | 'is cut off from the control store'

/** Answers how long after it went on the last of all who asked it was answered, and how. */
async function stopped(seed: number, what: What) {
  const cluster = new SimCluster({ seed, brokers: 3, lagMsMax })
  const { random, control, clock } = cluster
  await cluster.startAll()
  const topic = await cluster.makeTopic('t', { 'min.insync.replicas': '2' })
  const now = () => control.state.topicsById.get(topic.id)?.tablets[0]
  await cluster.until(() => cluster.leader(topic.id) !== undefined)
  const tablet = cluster.leader(topic.id)
  const node = cluster.nodes.find(({ id }) => id === tablet?.leader)
  if (tablet === undefined || node === undefined) throw new Error('nobody leads')
  const answers: { readonly atMs: number; readonly answer: Appended }[] = []
  let asked = 0
  const ask = (): void => {
    const deadlineMs = tablet.nowMs + timeoutMs
    void append(tablet, batchOf({ value: `v${asked++}` }), -1, deadlineMs).then(answer =>
      answers.push({ atMs: clock.monotonicMs(), answer }),
    )
  }
  await cluster.run(random.between(100, 600))
  // Read before it stops, and not acknowledged; then what its system takes for it meanwhile.
  for (let n = 0; n < 5; n++) ask()
  if (random.chance(0.5)) await clock.settle()
  node.pause()
  for (let n = 0; n < 20; n++) node.sim.world.clock.after(random.between(0, 3_000), ask)
  if (what === 'sees changes late') control.lateMs.set(node.id, random.between(4_000, 20_000))
  await cluster.until(() => now()?.leader !== node.id)
  if (what !== 'sees changes late') control.cutOff(node.id)
  await cluster.run(random.between(500, 4_000))
  const resumedMs = clock.monotonicMs()
  node.resume()
  for (let n = 0; n < 5; n++) node.sim.world.clock.after(random.between(0, 200), ask)
  await cluster.until(() => answers.length === 30, 2 * timeoutMs)
  const codes = answers.map(({ answer }) => ('refusal' in answer ? answer.refusal.code : 'acknowledged'))
  return { waitedMs: Math.max(...answers.map(({ atMs }) => atMs)) - resumedMs, codes: [...new Set(codes)] }
}

test.each(seeds)('it is told by its followers and asks, before it is told (seed %i)', limits, async seed => {
  const { waitedMs, codes } = await stopped(seed, 'sees changes late')
  expect(waitedMs).toBeLessThan(2_000)
  expect(codes).not.toContain('REQUEST_TIMED_OUT')
})

test.each(seeds.slice(0, 2))(
  'it gives up waiting when it is cut off itself (seed %i)',
  limits,
  async seed => {
    const { waitedMs, codes } = await stopped(seed, 'is cut off from the control store')
    expect(waitedMs).toBeLessThan(lagMsMax + 3_000)
    expect(codes).not.toContain('REQUEST_TIMED_OUT')
  },
)
