/** Opens a tablet's directory: its log, the epochs and what is known of its producers, which recovery brings up to the log's end. */
import { InvariantViolation } from '../../base/assert.ts'
import { epoch, MIB, offset, type Offset } from '../../base/quantities.ts'
import { baseOffsetOf, batchBytesOf, lastOffsetOf, leaderEpochOf } from '../../protocol/kafka/record-batch.ts'
import { LeaderEpochs } from '../log/leader-epochs.ts'
import type { Log } from '../log/log.ts'
import { openLog } from '../log/open-log.ts'
import { Producers } from './producers.ts'
import type { Tablet, TabletShared } from './tablet.ts'

/**
 * Brings `tablet` from recovering to opened, or takes it offline with the reason. Never rejects: one tablet's disk trouble is not the broker's.
 * `progress` is told of bytes as they are checked.
 */
export async function openTablet(
  shared: TabletShared,
  tablet: Tablet,
  clean: boolean,
  progress: (bytes: number) => void,
): Promise<void> {
  try {
    await open(shared, tablet, clean, progress)
  } catch (error) {
    if (error instanceof InvariantViolation) throw error
    tablet.fail((error as Error).message)
  }
}

async function open(
  shared: TabletShared,
  tablet: Tablet,
  clean: boolean,
  progress: (bytes: number) => void,
): Promise<void> {
  const { world, checkpoints, logs } = shared
  const { name, directory } = tablet.identity
  const log = shared.log.child({ topic: tablet.topic, partition: tablet.partition })
  const checkpoint = checkpoints.of(name)
  const recoveryPoint = checkpoint?.recoveryPoint ?? offset(0)
  const nowMs = world.clock.nowMs()
  let producers = Producers.open(world.disk, directory, recoveryPoint)
  const { epochs, damaged } = LeaderEpochs.open(world.disk, directory)
  const remember = (bytes: Buffer, at: number): void => {
    producers?.append(bytes, at, nowMs)
    producers?.written()
    epochs.seen(epoch(leaderEpochOf(bytes, at)), offset(baseOffsetOf(bytes, at)))
  }
  if (recoveryPoint === 0) producers = new Producers()
  epochs.truncate(recoveryPoint)
  const recovered = await openLog({
    shared: logs,
    directory,
    settings: tablet.settings,
    checkpoint,
    clean,
    visit: remember,
    progress,
  })
  const { cut, lost, checkedBytes } = recovered
  if (cut !== undefined) log.warn(cut, 'cut a torn tail; the bytes are kept in the file named')
  if (lost !== undefined) log.error(lost, 'offsets that were on disk are gone; they are not given again')
  if (checkedBytes > 0) log.info({ checkedBytes, end: recovered.log.end.offset }, 'recovered')
  if (producers === undefined || damaged) {
    log.warn('the snapshot of producers or epochs is missing: reading the log from its start')
    producers = new Producers()
    epochs.truncate(offset(0))
    await replay(recovered.log, remember)
  }
  if (tablet.role === 'removed') return recovered.log.close()
  const logStart = offset(Math.max(checkpoint?.logStart ?? 0, recovered.log.firstOffset))
  epochs.startAt(logStart)
  tablet.opened({ log: recovered.log, epochs, producers }, logStart, checkpoint?.recoveryPoint)
}

/** Shows every batch of the log to `visit`. */
async function replay(log: Log, visit: (bytes: Buffer, at: number) => void): Promise<void> {
  let next: Offset = log.firstOffset
  while (next < log.end.offset) {
    const batches = await log.read(next, log.end, MIB, true)
    for (const piece of batches.pieces) {
      for (let at = 0; at < piece.length; at += batchBytesOf(piece, at)) {
        visit(piece, at)
        next = offset(lastOffsetOf(piece, at) + 1)
      }
    }
    batches.release()
  }
}
