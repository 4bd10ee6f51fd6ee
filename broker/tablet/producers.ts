/**
 * What a tablet remembers of idempotent producers: the epoch and the last five batches of each. In come batch headers, out comes whether a
 * batch is next in line, was written before, or must be refused. Rules: Kafka's ProducerStateManager, KIP-98 and KIP-360.
 */
import { readFile, replaceFile } from '../../base/files.ts'
import type { Offset } from '../../base/quantities.ts'
import type { RefusalCode } from '../../base/refusals.ts'
import type { Disk } from '../../base/world.ts'
import {
  baseOffsetOf,
  baseSequenceOf,
  countOf,
  lastOffsetDeltaOf,
  lastOffsetOf,
  producerEpochOf,
  producerIdOf,
} from '../../protocol/kafka/record-batch.ts'
import { baseOffsetOf as baseOffsetOfName, segmentPath } from '../log/segment-names.ts'

/** A batch that a producer wrote: its sequence numbers and its offsets, first and last. */
export type WrittenBatch = {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly baseOffset: number
  readonly lastOffset: number
}

type Producer = {
  epoch: number
  /** Newest last; the last five count, more stand here only until the newest ones are written. */
  batches: WrittenBatch[]
  /** When it last appended, monotonic: a wall clock that jumps makes nobody silent. After a crash, when it was recovered. */
  lastAppendMs: number
  /** The epoch before, for as long as the first batch of this one is not written. */
  previous: Producer | undefined
}

export type Verdict = 'next' | WrittenBatch | RefusalCode

const batchesKept = 5
/** More producers than this on one tablet push out the ones that have been silent longest. */
const producersMax = 100_000

export class Producers {
  readonly #producers = new Map<number, Producer>()
  /** Those with batches that are not in the log yet, by id. */
  readonly #unwritten = new Map<number, Producer>()

  get count(): number {
    return this.#producers.size
  }

  /** May the batch at `at` be appended? Answers the earlier batch when it is a repetition of that one. */
  check(bytes: Buffer, at: number): Verdict {
    const id = producerIdOf(bytes, at)
    if (id < 0) return 'next'
    const producer = this.#producers.get(id)
    if (producer === undefined) return 'next'
    const epoch = producerEpochOf(bytes, at)
    const first = baseSequenceOf(bytes, at)
    if (epoch < producer.epoch) return 'INVALID_PRODUCER_EPOCH'
    if (epoch > producer.epoch) return first === 0 ? 'next' : 'OUT_OF_ORDER_SEQUENCE_NUMBER'
    const last = addSequence(first, countOf(bytes, at) - 1)
    const { batches } = producer
    for (let i = Math.max(0, batches.length - batchesKept); i < batches.length; i++) {
      const batch = batches[i]
      if (batch?.firstSequence === first && batch.lastSequence === last) return batch
    }
    const before = batches.at(-1)
    return before === undefined || first === addSequence(before.lastSequence, 1)
      ? 'next'
      : 'OUT_OF_ORDER_SEQUENCE_NUMBER'
  }

  /** The batch at `at` has its offsets and will be written; `written` or `discardFrom` follows. */
  append(bytes: Buffer, at: number, nowMs: number): void {
    const id = producerIdOf(bytes, at)
    if (id < 0) return
    const epoch = producerEpochOf(bytes, at)
    const known = this.#producers.get(id)
    const producer =
      known !== undefined && known.epoch === epoch
        ? known
        : { epoch, batches: [], lastAppendMs: 0, previous: known }
    if (producer !== known) this.#producers.set(id, producer)
    const firstSequence = baseSequenceOf(bytes, at)
    producer.batches.push({
      firstSequence,
      // Compaction leaves a batch its offsets, not its count.
      lastSequence: addSequence(firstSequence, lastOffsetDeltaOf(bytes, at)),
      baseOffset: baseOffsetOf(bytes, at),
      lastOffset: lastOffsetOf(bytes, at),
    })
    producer.lastAppendMs = nowMs
    this.#unwritten.set(id, producer)
  }

  /** Everything appended so far is in the log. */
  written(): void {
    for (const producer of this.#unwritten.values()) {
      producer.previous = undefined
      if (producer.batches.length > batchesKept)
        producer.batches.splice(0, producer.batches.length - batchesKept)
    }
    this.#unwritten.clear()
    if (this.#producers.size > producersMax) this.#dropSilent()
  }

  /** A batch that could not be read before is in the log again: it counts when its producer has written nothing since. Nothing else is unwritten. */
  filled(bytes: Buffer, nowMs: number): void {
    const known = this.#producers.get(producerIdOf(bytes, 0))
    if (known !== undefined && known.epoch > producerEpochOf(bytes, 0)) return
    if ((known?.batches.at(-1)?.lastOffset ?? -1) >= baseOffsetOf(bytes, 0)) return
    this.append(bytes, 0, nowMs)
    this.written()
  }

  /** Forgets batches from offset `end` on: their write failed. */
  discardFrom(end: Offset): void {
    for (const [id, producer] of this.#unwritten) {
      const left = withoutBatchesFrom(producer, end)
      if (left === undefined) this.#producers.delete(id)
      else this.#producers.set(id, left)
    }
    this.#unwritten.clear()
  }

  /** The last offset of each producer's last batch below `end`: what compaction must leave something of. */
  lastOffsets(end: Offset): number[] {
    return [...this.#producers.values()].flatMap(
      ({ batches }) => batches.findLast(({ lastOffset }) => lastOffset < end)?.lastOffset ?? [],
    )
  }

  /** Forgets producers that appended nothing since `beforeMs`, monotonic (producer.id.expiration.ms). */
  expire(beforeMs: number): void {
    for (const [id, producer] of this.#producers) {
      if (producer.lastAppendMs < beforeMs && !this.#unwritten.has(id)) this.#producers.delete(id)
    }
  }

  /** Writes the state as of `at`, the log's end. */
  save(disk: Disk, directory: string, at: Offset, nowMs: number): Promise<void> {
    return replaceFile(disk, segmentPath(directory, at, 'snapshot'), this.#content(nowMs))
  }

  /**
   * Removes all snapshots but that of the recovery point, which is durable and all that recovery asks for, and the newest one up to `cutMin`: the log
   * may still be cut back to there.
   */
  static async removeOthers(
    disk: Disk,
    directory: string,
    recoveryPoint: Offset,
    cutMin: Offset,
  ): Promise<void> {
    const all = snapshots(disk, directory)
    const below = Math.max(...all.filter(at => at <= cutMin))
    for (const other of all) {
      if (other !== recoveryPoint && other !== below)
        await disk.remove(segmentPath(directory, other, 'snapshot'))
    }
  }

  /** The newest readable state as of `end` or before, and as of when; undefined when there is none. Snapshots behind `end` are removed. */
  static async cutBack(
    disk: Disk,
    directory: string,
    end: Offset,
    nowMs: number,
  ): Promise<{ readonly producers: Producers; readonly at: Offset } | undefined> {
    const all = snapshots(disk, directory).toSorted((a, b) => b - a)
    for (const at of all) if (at > end) await disk.remove(segmentPath(directory, at, 'snapshot'))
    for (const at of all) {
      const producers = at > end ? undefined : Producers.open(disk, directory, at, nowMs)
      if (producers !== undefined) return { producers, at }
    }
    return undefined
  }

  /** Takes over what `other` knows, in place of all that was known. */
  become(other: Producers): void {
    this.#producers.clear()
    this.#unwritten.clear()
    for (const [id, producer] of other.#producers) this.#producers.set(id, producer)
  }

  /** The state as of offset `at`, or undefined when no readable snapshot of that offset is there. */
  static open(disk: Disk, directory: string, at: Offset, nowMs: number): Producers | undefined {
    const content = readFile(disk, segmentPath(directory, at, 'snapshot'))
    return content && parse(content, new Producers(), nowMs)
  }

  restore(id: number, epoch: number, lastAppendMs: number, batches: WrittenBatch[]): void {
    this.#producers.set(id, { epoch, batches, lastAppendMs, previous: undefined })
  }

  #content(nowMs: number): Buffer {
    const producers = [...this.#producers].map(([id, { epoch, lastAppendMs, batches }]) => ({
      id,
      epoch,
      silentMs: nowMs - lastAppendMs,
      batches: batches.map(batch => [
        batch.firstSequence,
        batch.lastSequence,
        batch.baseOffset,
        batch.lastOffset,
      ]),
    }))
    return Buffer.from(`${JSON.stringify({ version: 1, producers })}\n`)
  }

  #dropSilent(): void {
    const byAge = [...this.#producers].sort(([, a], [, b]) => a.lastAppendMs - b.lastAppendMs)
    for (const [id] of byAge.slice(0, Math.ceil(producersMax / 10))) this.#producers.delete(id)
  }
}

/** The newest epoch of the producer that still has a batch, or undefined when none has. */
function withoutBatchesFrom(producer: Producer, end: Offset): Producer | undefined {
  producer.batches = producer.batches.filter(batch => batch.baseOffset < end)
  if (producer.batches.length > 0) return producer
  return producer.previous && withoutBatchesFrom(producer.previous, end)
}

/** Sequence numbers are 31 bits and start again at 0. */
const addSequence = (sequence: number, count: number): number => (sequence + count) % 0x8000_0000

const snapshots = (disk: Disk, directory: string): Offset[] =>
  disk.list(directory).flatMap(name => baseOffsetOfName(name, 'snapshot') ?? [])

type Format = {
  version: number
  producers: {
    id: number
    epoch: number
    /** Not there in what version 0.1.0 began with, which noted the wall clock. */
    silentMs?: number
    batches: [number, number, number, number][]
  }[]
}

function parse(content: Buffer, producers: Producers, nowMs: number): Producers | undefined {
  try {
    const format = JSON.parse(content.toString()) as Format
    if (format.version !== 1) return undefined
    for (const { id, epoch, silentMs = 0, batches } of format.producers) {
      const kept = batches.map(([firstSequence, lastSequence, baseOffset, lastOffset]) => ({
        firstSequence,
        lastSequence,
        baseOffset,
        lastOffset,
      }))
      producers.restore(id, epoch, nowMs - silentMs, kept)
    }
    return producers
  } catch {
    return undefined
  }
}
