/**
 * What of a tablet is kept: enters that time has passed, or that someone wants records gone; leave recovery points, a log start that only rises, and
 * smaller segments. What is above the high watermark is never touched, and nothing goes before what it was needed for is on the disk.
 */
import type { Logger } from 'pino'
import { offset, type Offset } from '../../base/quantities.ts'
import type { TabletCheckpoint } from '../log/checkpoint.ts'
import { CleanState } from '../log/compaction/clean-state.ts'
import { removeCleaned, writeFilled } from '../log/compaction/cleaned-segment.ts'
import type { Cleaner } from '../log/compaction/cleaner.ts'
import { Compaction, type CompactionOwner, type PassLimits } from '../log/compaction/compaction.ts'
import { SwapUnfinished } from '../log/compaction/swap.ts'
import type { Filled, Hole } from '../log/holes.ts'
import { LogBroken } from '../log/log.ts'
import { retainedFrom } from '../log/retention.ts'
import type { TopicSettings } from '../settings/resolve.ts'
import type { TabletState } from './appends.ts'
import type { Mending } from './mending.ts'
import { Producers } from './producers.ts'
import type { TabletIdentity, TabletShared } from './shared.ts'

/** The tablet as its keeping sees it. */
export type Kept = {
  readonly identity: TabletIdentity
  readonly settings: TopicSettings
  readonly highWatermark: Offset
  /** Bytes that this run has written to the log. */
  readonly writtenBytes: number
  /** Whether it leads; asked again after every wait. */
  readonly serves: boolean
  /** Whether it leads or follows: its files are in use. */
  readonly isOpen: boolean
  /** Writes what is gathered. */
  flush(): void
  /** Resolves when everything below `end` is on the disk. */
  durable(end: Offset): Promise<void>
  readonly mending: Mending | undefined
  /** Takes the tablet out of service. */
  syncFailed(reason: string): void
}

export class Keeping implements CompactionOwner {
  /** Settles when what a follower has under way with the log is done, a cut or a stretch that is mended: nothing is appended, said of it or led before. */
  cutting: Promise<void> | undefined
  readonly #kept: Kept
  readonly #state: TabletState
  readonly #shared: TabletShared
  readonly #log: Logger
  #logStart: Offset
  /** Where a recovery would begin: an offset, and the segment that it stands in or at the end of. */
  #checkpointed: { readonly offset: Offset; readonly segment: Offset } | undefined
  #checkpointedBytes = 0
  #checkpointing: Promise<void> | undefined
  #compaction: Compaction | undefined
  #isCompacting = false
  #isRewriting = false

  constructor(
    kept: Kept,
    state: TabletState,
    shared: TabletShared,
    log: Logger,
    logStart: Offset,
    checkpoint: TabletCheckpoint | undefined,
  ) {
    this.#kept = kept
    this.#state = state
    this.#shared = shared
    this.#log = log
    this.#logStart = logStart
    this.#checkpointed = checkpoint && { offset: checkpoint.recoveryPoint, segment: checkpoint.segment }
  }

  get logStart(): Offset {
    return this.#logStart
  }

  get settings(): TopicSettings {
    return this.#kept.settings
  }

  get serves(): boolean {
    return this.#kept.isOpen
  }

  /**
   * Compaction keeps below it: what may still be cut stays as it was written, and so does the whole segment of the recovery point, because a
   * recovery begins at a place in its file.
   */
  get stableEnd(): Offset {
    return offset(Math.min(this.#kept.highWatermark, this.#checkpointed?.segment ?? 0))
  }

  get uncheckpointedBytes(): number {
    return this.#kept.writtenBytes - this.#checkpointedBytes
  }

  /** Everything written is on disk, and a recovery would begin behind it. */
  get isCheckpointed(): boolean {
    const { offset, segment } = this.#state.log.end
    return offset === this.#checkpointed?.offset && segment === this.#checkpointed.segment
  }

  get compaction(): Compaction | undefined {
    return this.#compaction
  }

  damaged(at: Offset): void {
    this.#kept.mending?.found(at)
  }

  lastOfProducers(): readonly number[] {
    return this.#state.producers.lastOffsets(this.stableEnd)
  }

  /** Makes everything written until now durable and lets recovery begin there. One at a time: whoever comes meanwhile waits for the next. */
  checkpoint(): Promise<void> {
    return this.#chained(() => this.#checkpoint())
  }

  /** Cuts the log back to the beginning of the batch that holds `to`, durably, with all that goes with it: epochs, producers, the recovery point. */
  truncate(to: Offset): Promise<void> {
    return this.#chained(async () => {
      const { log, producers, epochs } = this.#state
      const { world, checkpoints } = this.#shared
      const { name, directory } = this.#kept.identity
      const end = await log.placeOf(to)
      const nowMs = world.clock.monotonicMs()
      const before = await Producers.cutBack(world.disk, directory, end.offset, nowMs)
      producers.become(before?.producers ?? new Producers())
      const remember = (bytes: Buffer, at: number): void => {
        producers.append(bytes, at, nowMs)
        producers.written()
      }
      await log.replay(remember, before?.at, end.offset)
      epochs.truncate(end.offset)
      if ((this.#checkpointed?.offset ?? 0) > end.offset) {
        // From here on a recovery believes nothing behind the cut.
        await producers.save(world.disk, directory, end.offset, nowMs)
        await epochs.save()
        await checkpoints.setRecoveryPoint(name, end)
        this.#checkpointed = end
      }
      this.removeLater(await log.truncate(end.offset))
    })
  }

  /** Begins again, empty, at `start`, which lies behind everything there is. */
  restartAt(start: Offset): Promise<void> {
    return this.#chained(async () => {
      const { log, producers, epochs } = this.#state
      const { world, checkpoints } = this.#shared
      const { name, directory } = this.#kept.identity
      const none = new Producers()
      const names = await log.restartAt(start, async () => {
        await none.save(world.disk, directory, start, 0)
        await checkpoints.restartAt(name, start)
      })
      producers.become(none)
      epochs.clear()
      await epochs.save()
      this.#checkpointed = log.end
      this.#logStart = start
      this.removeLater(names)
    })
  }

  /** Puts sound batches where `hole` is, durably, when they have its size. */
  async fill(hole: Hole, cover: Buffer): Promise<Filled> {
    const filled = await this.#chained(() => this.#state.log.fill(hole, cover))
    if (filled === 'filled') this.#compaction?.mended()
    return filled
  }

  /**
   * Like `fill`, with batches of another size, in a segment that compaction may change: it is written anew, which takes a while, and everything else goes on.
   * @throws SwapUnfinished: the next start puts it in its place
   */
  async rewrite(hole: Hole, cover: Buffer): Promise<Filled> {
    const { log } = this.#state
    const { of } = hole
    const to = log.lookUps.endAfter(hole.from)
    // The files that would be swapped in have the same names.
    if (this.#isCompacting || to > this.stableEnd) return 'other size'
    if (log.isHalfSwapped) throw new SwapUnfinished('another one waits for the next start')
    this.#isRewriting = true
    const { disk, clock } = this.#shared.world
    try {
      const written = await writeFilled(disk, clock, this.#shared.logs.segmentCache, log, hole, cover)
      const replaced = this.serves ? await log.swap(of.baseOffset, to, written) : undefined
      if (replaced === undefined) {
        await removeCleaned(disk, log.directory, of.baseOffset)
        return 'gone'
      }
      this.removeLater(replaced)
      this.#compaction?.mended()
      return 'filled'
    } catch (error) {
      if (!(error instanceof SwapUnfinished)) await removeCleaned(disk, log.directory, of.baseOffset)
      throw error
    } finally {
      this.#isRewriting = false
    }
  }

  #chained<T>(act: () => Promise<T>): Promise<T> {
    const before = this.#checkpointing
    const run = before === undefined ? act() : before.then(act)
    const done = run.then(
      () => undefined,
      () => undefined,
    )
    this.#checkpointing = done
    void done.then(() => {
      if (this.#checkpointing === done) this.#checkpointing = undefined
    })
    return run
  }

  async #checkpoint(): Promise<void> {
    this.#shared.checkpoints.noteHighWatermark(this.#kept.identity.name, this.#kept.highWatermark)
    if (!this.#kept.isOpen || this.isCheckpointed) return
    this.#kept.flush()
    if (!this.#kept.isOpen) return
    const { log, producers, epochs } = this.#state
    const { world, checkpoints } = this.#shared
    const { name, directory } = this.#kept.identity
    const end = log.end
    const { writtenBytes } = this.#kept
    const saved = producers.save(world.disk, directory, end.offset, world.clock.monotonicMs())
    await Promise.all([saved, this.#kept.durable(end.offset)])
    if (!this.#kept.isOpen) return
    try {
      await log.syncIndexes()
    } catch (error) {
      if (error instanceof LogBroken) this.#kept.syncFailed(error.message)
      throw error
    }
    await epochs.save()
    if (!this.#kept.isOpen) return
    await checkpoints.setRecoveryPoint(name, end)
    this.#checkpointed = end
    this.#checkpointedBytes = writtenBytes
    if (this.#kept.isOpen)
      await Producers.removeOthers(world.disk, directory, end.offset, this.#kept.highWatermark)
  }

  /** Drops what `retention.ms` and `retention.bytes` do not keep, and producers that were silent for so long. */
  async applyRetention(producerIdExpirationMs: number): Promise<void> {
    if (!this.serves) return
    const { log, producers } = this.#state
    const { clock } = this.#shared.world
    const { settings, highWatermark } = this.#kept
    // A follower's log begins where its leader's does.
    const start =
      this.#kept.serves && settings.cleanupPolicy.has('delete')
        ? await retainedFrom(
            log.lookUps.segmentFacts(),
            log.sizeBytes,
            settings,
            clock.nowMs(),
            highWatermark,
          )
        : undefined
    if (start !== undefined && start > this.#logStart && this.#kept.serves) {
      if (start === log.end.offset && log.end.position > 0 && !log.hasStaged) log.roll()
      await this.startAt(start, 'retention')
    }
    producers.expire(clock.monotonicMs() - producerIdExpirationMs)
  }

  /** Takes the records below `start` away, durably. */
  async startAt(start: Offset, why: string): Promise<void> {
    if (start <= this.#logStart) return
    // What is dropped cannot tell a recovery of its producers any more: the snapshot has to be from behind it.
    if (start > (this.#checkpointed?.segment ?? 0)) await this.checkpoint()
    if (start <= this.#logStart || !this.serves) return
    await this.#shared.checkpoints.setLogStart(this.#kept.identity.name, start)
    if (start <= this.#logStart || !this.serves) return
    this.#logStart = start
    const { log, epochs } = this.#state
    const names = log.dropBefore(start)
    // What is still in the files may still be compared with another replica's.
    epochs.startAt(log.firstOffset)
    this.#log.info(
      { logStart: start, segments: names.filter(name => name.endsWith('.log.deleted')).length, why },
      'log start moved',
    )
    this.removeLater(names)
  }

  /** Answers how much of it should be compacted now, by `cleanup.policy` and what belongs to it: a part of its bytes, or undefined. */
  async compactionDue(): Promise<number | undefined> {
    const compaction = this.#compactable()
    if (compaction === undefined) return undefined
    await this.#rollOverdue()
    const { dirtyRatio, filter } = await compaction.look()
    return filter.length > 0 ? dirtyRatio : undefined
  }

  /** One pass of compaction, when it is due. Answers whether it came to its end. */
  async compact(cleaner: Cleaner, limits: PassLimits): Promise<boolean> {
    const compaction = this.#compactable()
    if (compaction === undefined || this.#isRewriting || this.#state.log.isHalfSwapped) return false
    // From the look on: a plan knows how large the segments are.
    this.#isCompacting = true
    try {
      const plan = await compaction.look()
      return this.serves && plan.filter.length > 0 && (await compaction.run(plan, cleaner, limits))
    } finally {
      this.#isCompacting = false
    }
  }

  removeLater(names: readonly string[]): void {
    if (names.length === 0) return
    this.#shared.world.clock.after(this.settings.fileDeleteDelayMs, () => void this.#remove(names))
  }

  /** One by one: each may take a while, and all together would keep syncs and reads from the thread pool. */
  async #remove(names: readonly string[]): Promise<void> {
    for (const name of names) {
      try {
        await this.#shared.world.disk.remove(name)
      } catch (error) {
        this.#log.warn({ name, error }, 'could not remove a deleted segment; it goes at the next start')
      }
    }
  }

  #compactable(): Compaction | undefined {
    if (!this.serves || !this.settings.cleanupPolicy.has('compact')) return undefined
    const { world } = this.#shared
    const state = (): CleanState => CleanState.open(world.disk, this.#kept.identity.directory)
    this.#compaction ??= new Compaction(world, this.#log, this.#state.log, state(), this)
    return this.#compaction
  }

  /** What stands in the active segment is not compacted: it ends when its first record is as old as `max.compaction.lag.ms` allows. */
  async #rollOverdue(): Promise<void> {
    const { log } = this.#state
    const before = this.#shared.world.clock.nowMs() - this.settings.maxCompactionLagMs
    if (before <= 0) return
    const first = await log.lookUps.firstTimestamp(log.end.segment)
    if (first === undefined || first <= 0 || first >= before || !this.serves) return
    if (log.end.position === 0 || log.hasStaged) return
    log.roll()
    await this.checkpoint()
  }
}
