/**
 * What is told of a LogCluster and its topics: purely from what was seen. A status leaves that is equal to the one before unless something
 * is different, and the facts that are new in it.
 */
import type { CopyingStatus, LogClusterStatus } from '../../control/kubernetes/resources/log-cluster.ts'
import { bootstrapName, ports } from '../../control/kubernetes/resources/names.ts'
import { countStates, judgedTablets } from '../../control/kubernetes/standing.ts'
import { brokersText, clusterFaults, fewOf } from '../judge/cluster.ts'
import type { Fault } from '../judge/fault.ts'
import { movesOf } from '../judge/moves.ts'
import { isBroken } from '../judge/pod.ts'
import { waitingToSpare } from '../judge/minimum.ts'
import { isOutdated } from '../judge/revision.ts'
import { groundOf, tabletCount, topicFault } from '../judge/topic.ts'
import { dyingIn } from '../observe/removal.ts'
import { isGrowing } from '../judge/volume.ts'
import { isLeaving, podOf, type Seen } from '../observe/seen.ts'
import { isPaused } from '../plan/plan.ts'
import { nodeHost } from '../resources/external-address.ts'
import { brokerSelector } from '../resources/labels.ts'
import type { Member } from '../observe/members.ts'
import { brokerStatus } from './broker.ts'
import { conditionsOf, type Judgement } from './conditions.ts'
import { copyingStatus } from './copying.ts'

export type ClusterReport = {
  readonly status: LogClusterStatus
  /** Faults that were not told before. */
  readonly news: readonly Fault[]
}

export function clusterReport(seen: Seen, refused: readonly Fault[]): ClusterReport {
  const { cluster, members } = seen
  const { name, namespace, generation } = cluster.metadata
  const tablets = judgedTablets(seen.topicViews, seen.standings)
  const faults = clusterFaults(seen, tablets, refused)
  const before = cluster.status?.conditions
  const told = before?.find(({ type }) => type === 'Degraded')?.message ?? ''
  const counts = countStates(tablets.map(({ state }) => state))
  const external = members.flatMap(member => externalText(seen, member) ?? [])
  const copying = copyingStatus(seen)
  const status: LogClusterStatus = {
    ...(generation !== undefined && { observedGeneration: generation }),
    conditions: conditionsOf(
      before,
      [available(seen, faults), progressing(seen, faults, copying), degraded(seen, faults)],
      {
        generation,
        nowMs: seen.nowMs,
      },
    ),
    replicas: members.length,
    readyReplicas: members.filter(member => member.ready).length,
    selector: Object.entries(brokerSelector(name))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    brokers: members.map(member => brokerStatus(name, member)),
    tablets: counts,
    ...(copying !== undefined && { copying }),
    bootstrap: `${bootstrapName(name)}.${namespace}.svc:${ports.kafka}`,
    ...imageOf(seen),
    ...(external.length > 0 && { externalBootstrap: external.join(',') }),
    clusterId: seen.clusterId,
  }
  return { status, news: faults.filter(({ message }) => !told.includes(message)) }
}

/** The image with which all brokers are ready; until then that of before, to which a cluster can be taken back. */
function imageOf(seen: Seen): { readonly image?: string } {
  const all = seen.members.map(member => podOf(seen, member)?.image)
  const isProven = seen.members.every(member => member.ready && !isOutdated(seen, member))
  const image = (isProven ? all[0] : undefined) ?? seen.cluster.status?.image
  return image === undefined ? {} : { image }
}

function externalText(seen: Seen, member: Member): string | undefined {
  const external = podOf(seen, member)?.external
  const host = external?.host === nodeHost ? member.pod?.status?.hostIP : external?.host
  return external === undefined || host === undefined ? undefined : `${host}:${external.port}`
}

function available({ members }: Seen, faults: readonly Fault[]): Judgement {
  const ready = members.filter(member => member.ready).length
  const message = `${ready} of ${members.length} brokers are ready`
  if (ready === 0) return { type: 'Available', status: 'False', reason: 'NoBrokerReady', message }
  const offline = faults.find(({ reason }) => reason === 'TabletsOffline')
  if (offline !== undefined) {
    const why = `${message}, ${offline.message}`
    return { type: 'Available', status: 'False', reason: 'TabletsOffline', message: why }
  }
  return { type: 'Available', status: 'True', reason: 'Serving', message }
}

/** One reason is seen at a glance; what it hides is named behind it. */
const textOf = ({ reason, message }: Fault, at: number, faults: readonly Fault[]): string =>
  at === 0 || faults[0]?.reason === reason ? message : `${reason}: ${message}`

/** Its reason is the column HEALTH: that a cluster is paused must be seen there, too. */
const degraded = ({ cluster }: Seen, faults: readonly Fault[]): Judgement => ({
  type: 'Degraded',
  status: faults.length > 0 ? 'True' : 'False',
  reason: faults[0]?.reason ?? (isPaused(cluster) ? 'Paused' : 'Healthy'),
  message: faults.map(textOf).join('; ') || 'nothing is wrong',
})

const says = (status: 'True' | 'False', reason: string, message: string): Judgement => ({
  type: 'Progressing',
  status,
  reason,
  message,
})

function progressing(seen: Seen, faults: readonly Fault[], copying: CopyingStatus | undefined): Judgement {
  const { cluster, members } = seen
  if (isPaused(cluster)) {
    return says('False', 'Paused', 'the annotation stele.dev/paused stops all changes: remove it to go on')
  }
  if (dyingIn(seen).size > 0) {
    const message =
      'the data of the LogCluster of this name that was deleted under deletionPolicy Delete are being removed: brokers are made when they are gone'
    return says('True', 'RemovingData', message)
  }
  const staying = members.filter(member => !isLeaving(member))
  if (seen.properties === undefined) {
    return says('False', 'UnknownSetting', 'no broker is started before spec.config is corrected')
  }
  const outdated = staying.filter(member => isOutdated(seen, member))
  const failed = staying.filter(({ pod }) => pod !== undefined && isBroken(pod))
  if (failed.length > 0) {
    const ids = brokersText(failed.map(({ id }) => id))
    return outdated.length > 0
      ? says(
          'False',
          'RollStopped',
          `${ids} did not come back: the other brokers keep what they have until it does`,
        )
      : says('False', 'BrokerFailed', `${ids} cannot start`)
  }
  const absent = staying.filter(member => !member.ready)
  if (absent.length > 0) {
    const made = staying.filter(({ statefulSet }) => statefulSet !== undefined).length
    const how = made < staying.length ? `${made} of ${staying.length} brokers are made; ` : ''
    return says('True', 'BrokersStarting', `${how}${brokersText(absent.map(({ id }) => id))}: not ready yet`)
  }
  if (outdated.length > 0) {
    return says(
      'True',
      'Rolling',
      `${outdated.length} of ${staying.length} brokers are still to be restarted${waiting(seen, outdated)}`,
    )
  }
  if (seen.account === undefined) {
    return says('True', 'BrokersStarting', 'brokers wait for their ServiceAccount')
  }
  if (staying.some(member => podOf(seen, member) === undefined)) {
    return says(
      'True',
      'AddressPending',
      'brokers wait for their addresses outside before they are told of them',
    )
  }
  const { left } = movesOf(seen)
  if (left > 0) {
    const tablets = left === 1 ? '1 tablet has' : `${left} tablets have`
    const far = copying === undefined ? '' : `: ${copying.progress}`
    return says('True', 'MovingTablets', `${tablets} replicas that are still to move to other brokers${far}`)
  }
  if (staying.length < members.length) return says('True', 'Draining', 'brokers in excess are removed')
  const drain = faults.find(({ reason }) => reason === 'DrainBlocked')
  if (drain !== undefined) return says('False', drain.reason, drain.message)
  return (
    placing(seen) ??
    growing(staying) ??
    catchingUp(copying) ??
    says('False', 'Converged', 'everything is as it is wanted')
  )
}

/** What none of them can be restarted before; empty where one can. */
function waiting(seen: Seen, outdated: readonly Member[]): string {
  const tablets = outdated.map(({ id }) => waitingToSpare(seen, id))
  if (tablets.some(names => names.length === 0)) return ''
  return `: they wait until other replicas are in sync of ${fewOf(new Set(tablets.flat()))}`
}

function growing(members: readonly Member[]): Judgement | undefined {
  const waiting = members.filter(isGrowing)
  const [claim] = waiting.flatMap(member => member.claim?.metadata.name ?? [])
  if (claim === undefined) return undefined
  const whose = brokersText(waiting.map(({ id }) => id))
  return says(
    'True',
    'VolumesGrowing',
    `${whose}: the volume has not grown yet: \`kubectl describe pvc ${claim}\` shows what it waits for`,
  )
}

function catchingUp(copying: CopyingStatus | undefined): Judgement | undefined {
  if (copying === undefined) return undefined
  const replicas = copying.tablets === 1 ? '1 replica catches' : `${copying.tablets} replicas catch`
  return says('True', 'CopyingTablets', `${replicas} up with their leaders: ${copying.progress}`)
}

function placing(seen: Seen): Judgement | undefined {
  const waiting = seen.topicViews.filter(
    view => tabletCount(view) < view.topic.spec.tablets && topicFault(seen, view) === undefined,
  )
  if (waiting.length === 0) return undefined
  const early = groundOf(seen).tooEarly ? ', brokers have to register first' : ''
  return says('True', 'PlacingTablets', `${waiting.length} topics wait for places for their tablets${early}`)
}
