import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import type { Lease, PersistentVolumeClaim, Pod } from '../../kube/resources.ts'

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000 }

/** `1h30m` in milliseconds. */
const durationMs = (text: string): number =>
  [...text.matchAll(/(\d+)([hms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (unitMs[unit ?? ''] ?? 0),
    0,
  )

type Traces = {
  readonly pod: Pod | undefined
  readonly lease: Lease | undefined
  readonly claim: PersistentVolumeClaim | undefined
}

/**
 * Whether a broker that is not ready has been gone for longer than spec.replaceAfter, by the latest sign of life that anybody wrote down, whoever's clock it was: a clock
 * that is wrong alone makes nobody gone. A new volume is a sign, too: there is something to wait for again.
 */
export function isGoneIn({ spec }: LogCluster, { pod, lease, claim }: Traces, nowMs: number): boolean {
  const condition = pod?.status?.conditions?.find(({ type }) => type === 'Ready')
  const signs = [
    condition?.lastTransitionTime,
    pod?.metadata.creationTimestamp,
    claim?.metadata.creationTimestamp,
    lease?.metadata.creationTimestamp,
    lease?.spec?.renewTime,
  ].flatMap(time => (time === undefined ? [] : [new Date(time as string | Date).getTime()]))
  const latestMs = Math.max(...signs.filter(ms => !Number.isNaN(ms)))
  return Number.isFinite(latestMs) && nowMs - latestMs > durationMs(spec.replaceAfter)
}
