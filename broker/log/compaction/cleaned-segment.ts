/**
 * The segment that takes the place of others: batches enter in rising order, files named `.cleaned` leave, written and synced a piece at a time so that
 * no large write holds up the disk. They mean nothing until they are swapped in.
 */
import { KIB, MIB, offset } from '../../../base/quantities.ts'
import type { Clock, Disk } from '../../../base/world.ts'
import { baseOffsetOf, batchBytesOf, lastOffsetOf } from '../../../protocol/kafka/record-batch.ts'
import type { Hole } from '../holes.ts'
import type { Log } from '../log.ts'
import type { SegmentCache } from '../segment-cache.ts'
import { newestOf, Segment } from '../segment.ts'
import { segmentPath } from '../segment-names.ts'
import { soundBatches } from '../sound-batches.ts'
import { Pace } from './pace.ts'

export const cleanedSuffix = '.cleaned'

const pieceBytes = 256 * KIB
const syncBytes = MIB

export class CleanedSegment {
  readonly #segment: Segment
  readonly #pace: Pace
  readonly #indexIntervalBytes: number
  readonly #piece = Buffer.allocUnsafe(pieceBytes)
  #pieceBytes = 0
  #writtenBytes = 0
  #unsyncedBytes = 0

  private constructor(segment: Segment, indexIntervalBytes: number, pace: Pace) {
    this.#segment = segment
    this.#indexIntervalBytes = indexIntervalBytes
    this.#pace = pace
  }

  /** Files of an attempt before are replaced. */
  static async create(
    disk: Disk,
    directory: string,
    baseOffset: number,
    indexIntervalBytes: number,
    pace: Pace,
  ): Promise<CleanedSegment> {
    await removeCleaned(disk, directory, baseOffset)
    const segment = Segment.create(disk, directory, offset(baseOffset), cleanedSuffix)
    return new CleanedSegment(segment, indexIntervalBytes, pace)
  }

  get sizeBytes(): number {
    return this.#writtenBytes + this.#pieceBytes
  }

  /** Takes the batch at b[at, …), by copy. */
  add(b: Buffer, at: number): void {
    const bytes = batchBytesOf(b, at)
    this.#segment.note(lastOffsetOf(b, at), this.sizeBytes, bytes, newestOf(b, at), this.#indexIntervalBytes)
    if (this.#pieceBytes + bytes > pieceBytes) this.#flush()
    if (bytes > pieceBytes) return this.#write(b.subarray(at, at + bytes))
    b.copy(this.#piece, this.#pieceBytes, at, at + bytes)
    this.#pieceBytes += bytes
  }

  /** Everything is on the disk; only the names are not yet. */
  async finish(): Promise<void> {
    this.#flush()
    this.#segment.persistIndexes()
    this.#segment.files.log.syncNow()
    await this.#segment.syncIndexes()
    this.#segment.close()
  }

  close(): void {
    this.#segment.close()
  }

  #flush(): void {
    this.#write(this.#piece.subarray(0, this.#pieceBytes))
    this.#pieceBytes = 0
  }

  #write(bytes: Buffer): void {
    const { log } = this.#segment.files
    log.write([bytes], this.#writtenBytes)
    this.#writtenBytes += bytes.length
    this.#pace.did(bytes.length)
    this.#unsyncedBytes += bytes.length
    if (this.#unsyncedBytes < syncBytes) return
    log.syncNow()
    this.#unsyncedBytes = 0
  }
}

export async function removeCleaned(disk: Disk, directory: string, baseOffset: number): Promise<void> {
  for (const kind of ['log', 'index', 'timeindex'] as const)
    await disk.remove(segmentPath(directory, offset(baseOffset), kind) + cleanedSuffix)
}

/** Writes the segment of `hole` as it is with sound batches in that place, for a swap; answers its size. What else is damaged of it is left out, and stays a hole. */
export async function writeFilled(
  disk: Disk,
  clock: Clock,
  cache: SegmentCache,
  log: Log,
  { of, from, to, position }: Hole,
  cover: Buffer,
): Promise<number> {
  const pace = new Pace(clock, { bytesPerSecond: Infinity, timeShare: 0.5 })
  const filled = await CleanedSegment.create(
    disk,
    log.directory,
    of.baseOffset,
    log.settings.indexIntervalBytes,
    pace,
  )
  const addCover = (): void => {
    for (let at = 0; at < cover.length; at += batchBytesOf(cover, at)) filled.add(cover, at)
  }
  const file = await cache.pin(of)
  try {
    let [isCovered, restedBytes] = [false, 0]
    const end = log.lookUps.endAfter(of.baseOffset)
    for await (const batch of soundBatches(file.log, 0, of.sizeBytes, of.baseOffset, end)) {
      const { bytes, at } = batch
      const isBehind = batch.position > position || baseOffsetOf(bytes, at) >= to
      if (isBehind && !isCovered) addCover()
      isCovered ||= isBehind
      if (lastOffsetOf(bytes, at) < from || isBehind) filled.add(bytes, at)
      if (filled.sizeBytes - restedBytes < pieceBytes) continue
      restedBytes = filled.sizeBytes
      await pace.rest()
    }
    if (!isCovered) addCover()
    const { sizeBytes } = filled
    await filled.finish()
    return sizeBytes
  } catch (error) {
    filled.close()
    throw error
  } finally {
    cache.unpin(of)
  }
}
