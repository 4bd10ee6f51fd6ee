/** Replicas that differ although every checksum is right: followers compare what they hold with their leader, and never complain of what is the same. */
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { readFile } from '../../base/files.ts'
import { offset } from '../../base/quantities.ts'
import { LocalCleaner } from '../../broker/log/compaction/cleaner.ts'
import { Compactions } from '../../broker/tablet/compactions.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { baseOffsetOf, batchBytesOf, sealBatch } from '../../protocol/kafka/record-batch.ts'
import type { SimCluster, SimNode } from './cluster.ts'
import { check, filesOf, held, records, written } from './written-copies.ts'

const silent = pino({ level: 'silent' })
const differs =
  'the leader has something else at these offsets: nobody reads them here, and docs/operations.md says what to do'

/** Changes a value in a batch of the replica and makes its checksum right again; answers the offset of the batch. */
function change(node: SimNode, tablet: Tablet, { file = 1, batch = 3 } = {}): number {
  const { disk } = node.sim.world
  const path = filesOf(node, tablet).at(file)
  const bytes = path === undefined ? undefined : readFile(disk, path)
  if (path === undefined || bytes === undefined) throw new Error('there are several segments')
  let at = 0
  for (let n = 0; n < batch; n++) at += batchBytesOf(bytes, at)
  changed(bytes, at)
  put(node, path, bytes)
  return baseOffsetOf(bytes, at)
}

function changed(bytes: Buffer, at: number): void {
  // The last byte is the number of headers, the one before it the end of the value.
  const end = at + batchBytesOf(bytes, at)
  bytes.writeUInt8((bytes.at(end - 2) ?? 0) ^ 1, end - 2)
  sealBatch(bytes, at)
}

const linesOf = ({ broker }: SimNode, text: string) => (broker?.lines ?? []).filter(({ msg }) => msg === text)
const counted = ({ mending }: Tablet) => mending?.counters

/** Resolves when the leader has said what it has of all that `tablet` holds, twice. */
async function compared(cluster: SimCluster, tablet: Tablet): Promise<void> {
  const { followed } = tablet
  if (followed === undefined) throw new Error('it does not follow')
  const ends: number[] = []
  const asked = followed.leaderDigest.bind(followed)
  followed.leaderDigest = async (from, to) => {
    const digest = await asked(from, to)
    if (digest !== undefined) ends.push(to)
    return digest
  }
  await cluster.until(() => ends.filter(end => end === tablet.highWatermark).length >= 2)
  followed.leaderDigest = asked
}

test.each([
  ['a sealed segment', 1],
  ['the segment that is written', -1],
])(
  'a batch in %s that is another one than the leader has is told, read by nobody, and left as it is',
  async (_, file) => {
    const { cluster, replica, followed, leader, isInSync } = await written()
    const before = leader().epoch
    const tablet = replica(followed)
    await cluster.until(() => tablet.copy !== undefined)
    change(followed, tablet, { file, batch: 1 })
    const changed = held(followed, tablet)
    const checks = check(followed, tablet)
    await cluster.until(() => (counted(tablet)?.different ?? 0) > 0)
    checks.stop()
    const [line] = linesOf(followed, differs)
    expect(line).toMatchObject({ digest: expect.any(String), leaderDigest: expect.any(String) })
    expect(() => tablet.copy?.read(offset(0), 1, true)).toThrow('does not have what its leader has')
    await cluster.run(2_000)
    expect(held(followed, tablet)).toEqual(changed)
    expect(counted(tablet)).toMatchObject({ found: 0, mended: 0 })
    expect([leader().epoch, isInSync()]).toEqual([before, true])
  },
)

test('a leader that differs is what all others are compared with, and a damaged one is not', async () => {
  const { cluster, replica, led, followed, leader } = await written()
  const tablet = replica(followed)
  // No CRC covers the epoch: the leader knows it otherwise, and says nothing of that stretch.
  const [path = ''] = filesOf(led, leader())
  led.sim.disk.flipBits(path, 12, 4)
  const before = held(followed, tablet)
  const checks = check(followed, tablet)
  await cluster.until(() => leader().leader !== led.id)
  await cluster.until(() => counted(replica(led))?.mended === 1)
  await cluster.run(2_000)
  checks.stop()
  expect(held(followed, tablet)).toEqual(before)
  expect(linesOf(followed, differs)).toEqual([])
})

test('where the epochs differ, too, it is said, and nothing is written or cut', async () => {
  const { cluster, topic, replica, followed, led, settled, write, leader, isInSync } = await written()
  // Another epoch begins.
  led.kill()
  await cluster.until(() => cluster.leader(topic.id) !== undefined && leader().leader !== led.id)
  await cluster.startAll()
  await cluster.until(isInSync)
  for (let n = 0; n < 30; n++) await write(`later ${n}`)
  await cluster.until(settled)
  const node = cluster.nodes.find(({ id }) => id !== leader().leader && id !== led.id) ?? followed
  const stopped = replica(node)
  node.stop()
  await cluster.until(() => !node.isUp)
  // To this replica the first records of the new epoch, up to the next segment, are of the epoch before; and one behind them is another.
  const baseOf = (path: string): number => Number(path.slice(-24, -4))
  const paths = filesOf(node, stopped)
  const next = paths.findIndex(path => baseOf(path) > records)
  const start = baseOf(paths[next] ?? '')
  const { disk } = node.sim.world
  const epochs = `${stopped.identity.directory}/leader-epochs.json`
  const text = readFile(disk, epochs)?.toString() ?? ''
  const last = (JSON.parse(text) as { epochs: { epoch: number; start: number }[] }).epochs.at(-1)
  expect(last?.start).toBe(records)
  put(node, epochs, Buffer.from(text.replace(`"start":${records}`, `"start":${start}`)))
  const path = paths[next - 1] ?? ''
  const bytes = readFile(disk, path) ?? Buffer.alloc(0)
  for (let at = 0; at < bytes.length; at += batchBytesOf(bytes, at))
    if (baseOffsetOf(bytes, at) >= records) bytes.writeInt32BE((last?.epoch ?? 0) - 1, at + 12)
  put(node, path, bytes)
  change(node, stopped, { file: next, batch: 0 })
  node.start()
  await cluster.until(() => node.runs && isInSync() && settled())
  const tablet = replica(node)
  const stored = () => filesOf(node, tablet).map(one => readFile(disk, one)?.toString('hex'))
  const before = stored()
  const checks = check(node, tablet)
  await cluster.until(() => linesOf(node, differs).length >= 2)
  const highWatermark = tablet.highWatermark
  await cluster.run(5_000)
  checks.stop()
  await cluster.until(settled)
  expect(stored()).toEqual(before)
  expect(tablet.highWatermark).toBeGreaterThanOrEqual(highWatermark)
  expect(new Set(linesOf(node, differs).map(({ from }) => from))).toEqual(new Set([baseOf(path), start]))
  expect(counted(tablet)).toMatchObject({ mended: 0 })
  expect(isInSync()).toBe(true)
})

function put(node: SimNode, path: string, bytes: Buffer): void {
  const file = node.sim.world.disk.open(path, 'write')
  file.write([bytes], 0)
  file.close()
}

test('what compaction has left otherwise on each replica is not compared, also when it is over', async () => {
  const set = await written({
    'cleanup.policy': 'compact',
    'min.cleanable.dirty.ratio': '0',
    'file.delete.delay.ms': '0',
  })
  const { cluster, topic, led, followed, leader, replica } = set
  for (const one of led.broker?.tablets.all() ?? []) await cluster.clock.finish(one.checkpoint())
  const { world } = led.sim
  const compactions = new Compactions({
    world,
    log: silent,
    cleaner: new LocalCleaner(world),
    tablets: { all: () => [leader()] },
    limits: { mapBytesMax: 2 ** 20, bytesPerSecond: 10_000_000, timeShare: 1 },
    backoffMs: 1_000,
  })
  await cluster.clock.finish(compactions.round())
  expect(leader().keeping?.compaction?.counters.recordsRemoved).toBeGreaterThan(10)
  const { store } = led.broker ?? {}
  if (store === undefined) throw new Error('there is no broker')
  await cluster.clock.finish(
    store.alterTopicSettings(topic.id, { set: { 'cleanup.policy': 'delete' }, unset: [] }),
  )
  await cluster.until(() => replica(followed).settings.cleanupPolicy.has('delete'))
  const checks = check(followed, replica(followed))
  await compared(cluster, replica(followed))
  checks.stop()
  expect(held(followed, replica(followed))).not.toEqual(held(led, leader()))
  expect(counted(replica(followed))).toEqual({ found: 0, mended: 0, different: 0 })
})

test('a leader that does not say what it has is not asked for a while, and copying goes on', async () => {
  const { cluster, replica, led, followed, write, settled } = await written()
  const { followed: copied } = replica(followed)
  if (copied === undefined) throw new Error('it does not follow')
  const { disk } = led.sim
  const [poolMs, beganMs] = [disk.poolMs, cluster.clock.monotonicMs()]
  disk.poolMs = { min: 70_000, max: 70_000 }
  const asking = copied.leaderDigest(offset(0), offset(3))
  await write('meanwhile')
  await cluster.until(settled)
  expect(await cluster.clock.finish(asking)).toBeUndefined()
  expect(cluster.clock.monotonicMs() - beganMs).toBeGreaterThanOrEqual(60_000)
  disk.poolMs = poolMs
  await cluster.run(20_000)
  expect(await copied.leaderDigest(offset(0), offset(3))).toBeUndefined()
  // Another connection may be to a later version.
  cluster.shared.network.reset(led.host, followed.host)
  await cluster.run(1_000)
  expect(await cluster.clock.finish(copied.leaderDigest(offset(0), offset(3)))).toMatch(/^[0-9a-f]{32}$/)
})

test('replicas that hold the same never complain, whatever is deleted and whoever leads', async () => {
  const set = await written()
  const { cluster, topic, led, followed, leader, replica, write, settled, isInSync } = set
  const all = cluster.nodes.map(node => check(node, replica(node)))
  await compared(cluster, replica(followed))
  await cluster.clock.finish(leader().deleteRecordsBefore(offset(25)))
  for (let n = 0; n < 20; n++) await write(`more ${n}`)
  // What the leader alone has is cut off when it is back.
  cluster.shared.network.cut(led.host, cluster.nodes.find(one => one !== led && one !== followed)?.host ?? '')
  cluster.shared.network.cut(led.host, followed.host)
  void write('alone').catch(() => undefined)
  await cluster.run(50)
  led.kill()
  await cluster.until(() => cluster.leader(topic.id) !== undefined && leader().leader !== led.id)
  cluster.shared.network.heal()
  for (let n = 0; n < 20; n++) await write(`after ${n}`)
  await cluster.startAll()
  await cluster.until(() => isInSync() && settled())
  for (const checks of all) checks.stop()
  for (const node of cluster.nodes) {
    const tablet = replica(node)
    const checks = check(node, tablet)
    if (tablet.followed !== undefined) await compared(cluster, tablet)
    checks.stop()
    expect(counted(tablet)).toEqual({ found: 0, mended: 0, different: 0 })
    expect(linesOf(node, differs)).toEqual([])
  }
})
