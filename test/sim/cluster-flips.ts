/**
 * Bits that flip on the disks of a simulated cluster: below the high watermark of a tablet, on one of its replicas at a time, so that there is always a sound
 * copy. The brokers look after what they store more often than real ones do.
 */
import { pino } from 'pino'
import { Checks } from '../../broker/tablet/checks.ts'
import type { Topic } from '../../control/model.ts'
import {
  baseOffsetOf,
  batchBytesOf,
  checkBatch,
  lastOffsetOf,
  leaderEpochOf,
} from '../../protocol/kafka/record-batch.ts'
import type { SimBroker } from './broker.ts'
import type { SimCluster, SimNode } from './cluster.ts'
import { Seeded } from './seeded.ts'

const silent = pino({ level: 'silent' })
const rests = { first: 400, next: 400 }
const share = 0.5

export class Flips {
  readonly #cluster: SimCluster
  /** Of its own: histories without flips stay what they are. */
  readonly #random: Seeded
  /** After a power cut nobody can tell a flipped bit above the recovery point from a write that did not come to its end. */
  readonly #keepsPower: boolean
  readonly #checked = new WeakSet<SimBroker>()
  readonly done: string[] = []

  constructor(cluster: SimCluster, keepsPower: boolean) {
    this.#cluster = cluster
    this.#keepsPower = keepsPower
    this.#random = new Seeded(cluster.options.seed + 77_777)
  }

  /** Perhaps a few bits flip now. */
  perhaps(topics: readonly Topic[]): void {
    this.#check()
    if (!this.#random.chance(share) || topics.length === 0) return
    const topic = topics[this.#random.below(topics.length)]
    if (topic === undefined || !this.isWhole([topic])) return
    const leader = this.#cluster.leader(topic.id)
    const assignment = this.#cluster.control.state.topicsById.get(topic.id)?.tablets[0]
    const holders = this.#cluster.nodes.filter(({ id }) => assignment?.replicas.includes(id) === true)
    const node = holders[this.#random.below(holders.length)]
    if (leader === undefined || node === undefined || assignment === undefined) return
    // Somebody else in sync has it, and stays.
    const { isr, removing } = assignment
    if (!isr.some(({ broker }) => broker !== node.id && !removing.includes(broker))) return
    const below = Math.min(leader.highWatermark, this.#keepsPower ? Infinity : recoveryPointOf(node, topic))
    const batches = filesOf(node, topic).flatMap(path =>
      batchesIn(node, path).filter(({ base, last }) => base >= leader.logStart && last < below),
    )
    const batch = batches[this.#random.below(batches.length)]
    if (batch === undefined) return
    const at = this.#random.below(batch.bytes)
    node.sim.disk.flipBits(batch.path, batch.position + at, 1)
    this.done.push(
      `${Math.round(this.#cluster.clock.monotonicMs())} flip on ${node.host}, byte ${at} of ${batch.base}-${batch.last} in ${batch.path}`,
    )
  }

  /** Whether nothing is damaged on any disk: another disk may go then. No CRC covers a batch's epoch, so that has to be the same on all. */
  isWhole(topics: readonly Topic[]): boolean {
    return topics.every(topic => {
      const epochs = new Map<number, number>()
      return this.#cluster.nodes.every(node =>
        filesOf(node, topic).every(
          path =>
            isWhole(node, path) &&
            batchesIn(node, path).every(({ base, epoch }) => {
              const known = epochs.get(base) ?? epoch
              epochs.set(base, known)
              return known === epoch
            }),
        ),
      )
    })
  }

  /** Every broker looks through what it has, all the time, and notes how far that is. */
  #check(): void {
    for (const { broker, sim, paused } of this.#cluster.nodes) {
      if (broker === undefined) continue
      if (!paused) for (const tablet of broker.tablets.all()) void tablet.checkpoint().catch(() => undefined)
      if (this.#checked.has(broker)) continue
      this.#checked.add(broker)
      const { clock } = sim.world
      new Checks({ clock, log: silent, tablets: broker.tablets, restMs: rests }).start()
    }
  }

  /** Resolves when everything was mended. */
  async end(topics: readonly Topic[]): Promise<void> {
    this.#check()
    try {
      // A look reads every file.
      let lookMs = 0
      await this.#cluster.until(() => {
        const nowMs = this.#cluster.clock.monotonicMs()
        if (nowMs < lookMs) return false
        lookMs = nowMs + 100
        return this.isWhole(topics)
      }, 60_000)
    } catch (cause) {
      throw new Error('what was damaged is not mended', { cause })
    }
  }
}

const recoveryPointOf = ({ broker }: SimNode, { id, name }: Topic): number =>
  broker?.checkpoints.of(`${name}-0.${id}`)?.recoveryPoint ?? 0

function filesOf(node: SimNode, { id, name }: Topic): string[] {
  const { disk } = node.sim.world
  const directory = `/data/tablets/${name}-0.${id}`
  if (disk.stat(directory) === undefined) return []
  return disk
    .list(directory)
    .filter(file => file.endsWith('.log'))
    .map(file => `${directory}/${file}`)
}

/** Whatever fails for those who run on this disk. */
function bytesOf(node: SimNode, path: string): Buffer {
  const file = node.sim.disk.find(path)
  if (file?.kind !== 'file') return Buffer.alloc(0)
  const bytes = Buffer.alloc(file.seen.sizeBytes)
  file.seen.read(bytes, 0)
  return bytes
}

/** The batches that stand back to back in a file that is whole. */
function batchesIn(node: SimNode, path: string) {
  const bytes = bytesOf(node, path)
  const batches = []
  let position = 0
  while (position + 61 <= bytes.length) {
    const size = batchBytesOf(bytes, position)
    if (size < 61 || position + size > bytes.length) break
    batches.push({
      path,
      position,
      bytes: size,
      base: baseOffsetOf(bytes, position),
      last: lastOffsetOf(bytes, position),
      epoch: leaderEpochOf(bytes, position),
    })
    position += size
  }
  return batches
}

function isWhole(node: SimNode, path: string): boolean {
  const bytes = bytesOf(node, path)
  let covered = 0
  let due = Number(/(\d{20})\.log$/.exec(path)?.[1])
  const all = batchesIn(node, path).every(({ position, bytes: size, base, last }) => {
    const isDue = base === due
    due = last + 1
    covered = position + size
    return isDue && checkBatch(bytes, position, position + size) === undefined
  })
  return all && covered === bytes.length
}
