/** Opens a tablet's directory: its log, the epochs and what is known of its producers, which recovery brings up to the log's end. */
import type { Logger } from 'pino'
import { InvariantViolation } from '../../base/assert.ts'
import { epoch, MIB, offset, type Offset } from '../../base/quantities.ts'
import { baseOffsetOf, leaderEpochOf } from '../../protocol/kafka/record-batch.ts'
import { LeaderEpochs } from '../log/leader-epochs.ts'
import type { LogPosition } from '../log/log.ts'
import { openLog, type Recovered } from '../log/open-log.ts'
import { Producers } from './producers.ts'
import type { TabletShared } from './shared.ts'
import type { Tablet } from './tablet.ts'

const toldBytesMin = 64 * MIB

/**
 * Brings `tablet` from recovering to opened, or takes it offline with the reason. Never rejects: one tablet's disk trouble is not the broker's.
 * `progress` is told of bytes as they are checked. Answers 'lost' when offsets are gone that were on the disk and others have them (`isElsewhere`): it
 * is closed then.
 */
export async function openTablet(
  shared: TabletShared,
  tablet: Tablet,
  clean: boolean,
  progress: (bytes: number) => void,
  isElsewhere: boolean,
): Promise<'lost' | undefined> {
  try {
    return await open(shared, tablet, clean, progress, isElsewhere)
  } catch (error) {
    if (error instanceof InvariantViolation) throw error
    tablet.fail((error as Error).message)
    return undefined
  }
}

async function open(
  shared: TabletShared,
  tablet: Tablet,
  clean: boolean,
  progress: (bytes: number) => void,
  isElsewhere: boolean,
): Promise<'lost' | undefined> {
  const { world, checkpoints, logs } = shared
  const { name, directory } = tablet.identity
  const log = shared.log.child({ topic: tablet.topic, partition: tablet.partition })
  const checkpoint = checkpoints.of(name)
  const recoveryPoint = checkpoint?.recoveryPoint ?? offset(0)
  const nowMs = world.clock.monotonicMs()
  const savedProducers =
    recoveryPoint === 0 ? new Producers() : Producers.open(world.disk, directory, recoveryPoint, nowMs)
  const savedEpochs =
    recoveryPoint === 0 ? LeaderEpochs.none(world.disk, directory) : LeaderEpochs.open(world.disk, directory)
  const producers = savedProducers ?? new Producers()
  const epochs = savedEpochs ?? LeaderEpochs.none(world.disk, directory)
  epochs.truncate(recoveryPoint)
  const rememberProducer = (bytes: Buffer, at: number): void => {
    producers.append(bytes, at, nowMs)
    producers.written()
  }
  const rememberEpoch = (bytes: Buffer, at: number): void =>
    epochs.seen(epoch(leaderEpochOf(bytes, at)), offset(baseOffsetOf(bytes, at)))
  const recovered = await openLog({
    shared: logs,
    directory,
    settings: tablet.settings,
    checkpoint,
    clean,
    kept: checkpoints.keptAll(name),
    visit(bytes, at) {
      if (savedProducers !== undefined) rememberProducer(bytes, at)
      if (savedEpochs !== undefined) rememberEpoch(bytes, at)
    },
    progress,
  })
  try {
    report(log, recovered)
    if (isElsewhere && recovered.lost.length > 0) {
      recovered.log.close()
      return 'lost'
    }
    if (recovered.cut !== undefined && isElsewhere) await judgeCut(shared, tablet, recovered.cut, log)
    if (savedProducers === undefined || savedEpochs === undefined) {
      log.warn('the snapshot of producers or epochs is missing: reading the log from its start')
      await recovered.log.replay((bytes, at) => {
        if (savedProducers === undefined) rememberProducer(bytes, at)
        if (savedEpochs === undefined) rememberEpoch(bytes, at)
      })
    }
  } catch (error) {
    recovered.log.close()
    throw error
  }
  if (wasRemoved(tablet)) return closed(recovered.log)
  const logStart = offset(Math.max(checkpoint?.logStart ?? 0, recovered.log.firstOffset))
  epochs.startAt(recovered.log.firstOffset)
  const known = offset(Math.max(logStart, checkpoint?.highWatermark ?? 0))
  const mark = shared.replication === undefined ? recovered.log.end : await readableTo(recovered.log, known)
  if (wasRemoved(tablet)) return closed(recovered.log)
  tablet.opened({ log: recovered.log, epochs, producers }, logStart, checkpoint, mark)
  for (const { from } of recovered.damaged) tablet.mending?.found(from)
  // Of what is damaged it does not know the epochs: whoever has all of it goes first.
  if (isElsewhere && recovered.damaged.length > 0 && shared.replication !== undefined)
    tablet.unsureUntilMs = tablet.nowMs + shared.replication.lagMsMax
  checkpoints.noteRecovered(name)
  return undefined
}

/** Where the batch begins that holds `known`. Its base offset has no CRC: whatever stands there, no more is readable than what was known to be. */
async function readableTo(log: Recovered['log'], known: Offset): Promise<LogPosition> {
  const place = await log.placeOf(known)
  return { ...place, offset: offset(Math.min(place.offset, known)) }
}

/**
 * A log that was cut may be shorter than what this replica had said to hold. Where nothing but the process had ended, all that was written was still there, so
 * a batch that is no good has changed since: it comes back as one that lost something. After a power cut nobody knows, so others go first.
 */
async function judgeCut(
  { replication, checkpoints }: TabletShared,
  tablet: Tablet,
  { offset: end, isUnfinished }: NonNullable<Recovered['cut']>,
  log: Logger,
): Promise<void> {
  if (replication === undefined) return
  const { incarnation } = replication.self
  if (isUnfinished || !checkpoints.keptAll(tablet.identity.name)) {
    tablet.unsureUntilMs = tablet.nowMs + replication.lagMsMax
    return
  }
  tablet.bornIn = incarnation
  await checkpoints.hasLost(tablet.identity.name, incarnation)
  log.error(
    { end },
    'records that were here have changed on the disk, and what follows them was cut off: they are copied again',
  )
}

function closed(log: Recovered['log']): undefined {
  log.close()
}

const wasRemoved = ({ role }: Tablet): boolean => role === 'removed'

function report(log: Logger, { cut, lost, checkedBytes, log: { end } }: Recovered): void {
  if (cut !== undefined) log.warn(cut, 'cut a torn tail; the bytes are kept in the file named')
  for (const offsets of lost)
    log.error(offsets, 'offsets that were on disk are gone; they are not given again')
  // What took no time is in the sum of all.
  const level = checkedBytes < toldBytesMin ? 'debug' : 'info'
  if (checkedBytes > 0) log[level]({ checkedBytes, end: end.offset }, 'recovered')
}
