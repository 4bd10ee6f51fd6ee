import type { Member } from '../observe/members.ts'
import type { Seen } from '../observe/seen.ts'

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000 }

/** `1h30m` in milliseconds. */
const durationMs = (text: string): number =>
  [...text.matchAll(/(\d+)([hms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ''] ?? 0),
    0,
  )

/** Brokers that have been gone for longer than spec.replaceAfter: their copies are made again elsewhere. */
export const goneBrokers = (seen: Seen): readonly Member[] =>
  seen.members.filter(member => isGoneFor(member, seen.nowMs, durationMs(seen.cluster.spec.replaceAfter)))

/** By the latest sign of life that anybody wrote down, whoever's clock it was: a clock that is wrong alone makes nobody gone. */
function isGoneFor({ ready, pod, lease, record }: Member, nowMs: number, forMs: number): boolean {
  if (ready || record === undefined) return false
  const condition = pod?.status?.conditions?.find(({ type }) => type === 'Ready')
  const signs = [
    condition?.lastTransitionTime,
    pod?.metadata.creationTimestamp,
    lease?.metadata.creationTimestamp,
    lease?.spec?.renewTime,
  ].flatMap(time => (time === undefined ? [] : [new Date(time as string | Date).getTime()]))
  const latestMs = Math.max(...signs.filter(ms => !Number.isNaN(ms)))
  return Number.isFinite(latestMs) && nowMs - latestMs > forMs
}
