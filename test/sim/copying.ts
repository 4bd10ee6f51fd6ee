/**
 * What brokers do with tablets, for tests of the operator: a replica that is added gets in sync when it and the leader are ready, and then the leader ends the move. With
 * `replicates` all replicas that are ready get in sync, those that are not leave the set, and another leads. One thing a tablet in each call.
 */
import { annotations } from '../../control/kubernetes/resources/names.ts'
import { tabletSlices, type SliceTablet } from '../../control/kubernetes/resources/tablet-slice.ts'
import { isMoving, targetOf } from '../../control/moves.ts'
import { leases, pods } from '../../kube/resources.ts'
import type { SimKube } from './kube.ts'

export function copyTablets(kube: SimKube, replicates: boolean): void {
  for (const { metadata, tablets } of kube.peekAll(tabletSlices)) {
    const { namespace = '', labels } = metadata
    const cluster = labels?.['stele.dev/cluster'] ?? ''
    const runOf = (id: number): number | undefined => runningAs(kube, namespace, `${cluster}-broker-${id}`)
    const after = tablets.map(tablet => next(tablet, runOf, replicates) ?? tablet)
    if (after.some((tablet, at) => tablet !== tablets[at]))
      kube.set(tabletSlices, { namespace, name: metadata.name }, now => now && { ...now, tablets: after })
  }
}

/** The run of the broker that is ready; undefined while it is not. */
function runningAs(kube: SimKube, namespace: string, name: string): number | undefined {
  const pod = kube.peek(pods, { namespace, name: `${name}-0` })
  const isReady =
    pod?.metadata.deletionTimestamp === undefined &&
    pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
  const record = kube.peek(leases, { namespace, name })?.metadata.annotations?.[annotations.broker]
  return isReady && record !== undefined
    ? (JSON.parse(record) as { incarnation: number }).incarnation
    : undefined
}

function next(
  tablet: SliceTablet,
  runOf: (id: number) => number | undefined,
  replicates: boolean,
): SliceTablet | undefined {
  const { leader, replicas, adding, removing, isr } = tablet
  const to = (more: Partial<SliceTablet>): SliceTablet => ({
    ...tablet,
    ...more,
    version: tablet.version + 1,
  })
  const isIn = (id: number): boolean => isr.some(({ broker }) => broker === id)
  // What an earlier run had on another disk counts for nothing.
  const counts = ({ broker, incarnation }: SliceTablet['isr'][number]): boolean =>
    replicates ? runOf(broker) === incarnation : runOf(broker) !== undefined
  if (leader === undefined || !isr.some(member => member.broker === leader && counts(member))) {
    const other = isr.find(member => member.broker !== leader && counts(member))
    if (!replicates || other === undefined) return undefined
    const left = isr.filter(({ broker }) => broker !== leader)
    return to({ leader: other.broker, epoch: tablet.epoch + 1, isr: left })
  }
  const gone = replicates ? isr.find(member => !counts(member)) : undefined
  if (gone !== undefined) return to({ isr: isr.filter(member => member !== gone) })
  for (const broker of replicates ? replicas : adding) {
    const incarnation = runOf(broker)
    if (incarnation !== undefined && !isIn(broker)) return to({ isr: [...isr, { broker, incarnation }] })
  }
  const staying = isr.filter(({ broker }) => !removing.includes(broker))
  if (!isMoving(tablet) || !adding.every(isIn) || staying.length === 0) return undefined
  const ended = { replicas: targetOf(tablet), adding: [], removing: [], isr: staying }
  const successor = staying[0]?.broker
  return removing.includes(leader) && successor !== undefined
    ? to({ ...ended, leader: successor, epoch: tablet.epoch + 1 })
    : to(ended)
}
