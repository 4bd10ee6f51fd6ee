import { percentOf } from '../../control/copied.ts'
import { copiesByBroker, copiesInAll } from '../../control/kubernetes/copy-report.ts'
import type { CopyingStatus } from '../../control/kubernetes/resources/log-cluster.ts'
import { isMoving } from '../../control/moves.ts'
import { movesOf } from '../judge/moves.ts'
import type { Seen } from '../observe/seen.ts'
import { secondsText } from './conditions.ts'

/** Brokers say every few seconds how far they are: the status follows more slowly. */
const everyMs = 5_000
/** Nothing that is told has more digits that count. */
const digits = 3

/**
 * How far copies are that are made or caught up with; undefined while there are none. Moves that are still to begin count with the bytes of those that have begun. A
 * status that was written a moment ago stays as it is while anything is copied.
 */
export function copyingStatus(seen: Seen): CopyingStatus | undefined {
  const now = copiesInAll(copiesByBroker([...seen.standings.values()].map(({ copies }) => copies)).values())
  if (now === undefined) return undefined
  const before = seen.cluster.status?.copying
  if (before !== undefined && isRecent(before, seen.nowMs)) return before
  const begun = now.tablets + now.tabletsDone
  const waiting = (now.bytes / begun) * stillToBegin(seen)
  const [bytes, bytesLeft] = [now.bytes + waiting, now.bytesLeft + waiting]
  const { bytesPerSecond, tablets } = now
  const rest = waiting > 0 && bytesPerSecond > 0 ? Math.ceil(bytesLeft / bytesPerSecond) : now.secondsLeft
  const copying = {
    tablets,
    bytes: rounded(bytes),
    bytesLeft: rounded(bytesLeft),
    percent: percentOf({ bytes, bytesLeft }),
    bytesPerSecond: rounded(bytesPerSecond),
    ...(rest !== undefined && { secondsLeft: rounded(rest) }),
  }
  const progress = copyingText(copying)
  // What stands still is not written again and again.
  if (before?.progress === progress && before.tablets === tablets) return before
  return { ...copying, progress, asOf: secondsText(seen.nowMs) }
}

const isRecent = ({ asOf }: CopyingStatus, nowMs: number): boolean => {
  const ageMs = nowMs - Date.parse(asOf)
  return ageMs >= 0 && ageMs < everyMs
}

/** Tablets whose move is wanted and has not begun. */
function stillToBegin(seen: Seen): number {
  const begun = [...seen.slices.values()].reduce(
    (sum, { tablets }) => sum + tablets.filter(isMoving).length,
    0,
  )
  return Math.max(0, movesOf(seen).left - begun)
}

const rounded = (value: number): number => Number(Math.round(value).toPrecision(digits))

/** `45% of 12.3 GB, about 4m left`. */
function copyingText({
  percent,
  bytes,
  secondsLeft,
}: Pick<CopyingStatus, 'percent' | 'bytes' | 'secondsLeft'>): string {
  const left = secondsLeft === undefined ? 'nothing gets nearer now' : `about ${timeText(secondsLeft)} left`
  return `${percent}% of ${bytesText(bytes)}, ${left}`
}

/** One unit, as Kubernetes shows ages. */
function timeText(seconds: number): string {
  if (seconds < 120) return `${seconds}s`
  if (seconds < 2 * 3_600) return `${Math.round(seconds / 60)}m`
  return `${Math.round(seconds / 3_600)}h`
}

function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)))
  return `${Number((bytes / 1_000 ** unit).toPrecision(digits))} ${units[unit]}`
}
