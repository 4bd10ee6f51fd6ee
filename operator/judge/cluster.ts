import { brokerId } from '../../base/quantities.ts'
import { accountName, annotations, brokerName, labels } from '../../control/kubernetes/resources/names.ts'
import { countStates, offlineText, unnamedIn, type JudgedTablet } from '../../control/kubernetes/standing.ts'
import { isLeaving, podOf, type Seen } from '../observe/seen.ts'
import { holdsDeleted, type Member } from '../observe/members.ts'
import { hexOf } from '../../control/kubernetes/ownership.ts'
import type { Fault } from './fault.ts'
import { movesOf } from './moves.ts'
import { podFault } from './pod.ts'
import { replacementFaults } from './replacement-faults.ts'
import { isLockedOut } from './revision.ts'
import { sizeOf } from './volume.ts'

/** What is wrong with a LogCluster, the worst first. `refused`: what the API server would not have. */
export function clusterFaults(
  seen: Seen,
  tablets: readonly JudgedTablet[],
  refused: readonly Fault[],
): Fault[] {
  const { settingFaults } = seen
  const staying = seen.members.filter(member => !isLeaving(member))
  return [
    // What loses records goes before all that can wait.
    ...gathered(staying, dataFault),
    ...replacementFaults(seen),
    ...refused,
    ...gathered(staying, member => accountFault(seen, member)),
    ...(settingFaults.length > 0
      ? [{ reason: 'UnknownSetting', message: `spec.config: ${settingFaults.join('; ')}${kept(seen)}` }]
      : []),
    ...volumeFaults(seen, staying),
    ...gathered(staying, member => (member.pod === undefined ? undefined : podFault(member.pod))),
    ...gathered(staying, member => listenerFault(seen, member)),
    ...drainFaults(seen),
    ...tabletFaults(seen, tablets),
    ...keptFaults(seen),
  ]
}

const kept = ({ properties }: Seen): string =>
  properties === undefined
    ? '; no broker is started before that is corrected'
    : '; brokers go on with the settings before'

/** The same fault of several brokers is one. */
function gathered(members: readonly Member[], faultOf: (member: Member) => Fault | undefined): Fault[] {
  const found = new Map<string, { fault: Fault; ids: number[] }>()
  for (const member of members) {
    const fault = faultOf(member)
    if (fault === undefined) continue
    const key = `${fault.reason} ${fault.message}`
    const entry = found.get(key) ?? { fault, ids: [] }
    entry.ids.push(member.id)
    found.set(key, entry)
  }
  return [...found.values()].map(({ fault, ids }) => ({
    reason: fault.reason,
    message: `${brokersText(ids)}: ${fault.message}`,
  }))
}

export function brokersText(ids: readonly number[]): string {
  const more = ids.length > 10 ? ` and ${ids.length - 10} more` : ''
  return `${ids.length === 1 ? 'broker' : 'brokers'} ${ids.slice(0, 10).join(', ')}${more}`
}

function volumeFaults(seen: Seen, staying: readonly Member[]): Fault[] {
  const { size, storageClassName } = seen.cluster.spec.storage
  const waiting = staying.some(({ claim }) => claim !== undefined && claim.status?.phase !== 'Bound')
  const missing =
    storageClassName !== undefined && storageClassName !== '' && !seen.storageClasses.has(storageClassName)
  const notFound: Fault[] =
    missing && waiting
      ? [
          {
            reason: 'StorageClassNotFound',
            message: `spec.storage.storageClassName: there is no StorageClass ${storageClassName}${classesText(seen)}: make it, or make the LogCluster and its claims anew with another one, as a class cannot be changed`,
          },
        ]
      : []
  return [...notFound, ...gathered(staying, member => volumeFault(seen, member, size))]
}

const classesText = ({ storageClasses }: Seen): string =>
  storageClasses.size === 0 ? '' : `, there are ${[...storageClasses.keys()].sort().slice(0, 10).join(', ')}`

function volumeFault(seen: Seen, member: Member, size: string): Fault | undefined {
  const { problem, size: now, least } = sizeOf(seen, member)
  if (problem === 'shrinks') {
    return {
      reason: 'VolumeCannotShrink',
      message:
        least === now
          ? `spec.storage.size is ${size}, the volume has ${now} and volumes never shrink: set it to ${now} or more`
          : `spec.storage.size is ${size}, the volume asks for ${now} and has ${least}, which it never falls back to: set it to more than ${least}`,
    }
  }
  if (problem === 'cannot grow') {
    return {
      reason: 'VolumeCannotGrow',
      message: `spec.storage.size is ${size}, the volume has ${now} and its StorageClass does not allow growing: set allowVolumeExpansion on the class, or spec.storage.size to ${now}`,
    }
  }
  return undefined
}

function dataFault(member: Member): Fault | undefined {
  if (member.claim !== undefined && holdsDeleted(member)) {
    return {
      reason: 'VolumeDeleted',
      message: `the claim ${member.claim.metadata.name} was deleted, and goes with its data as soon as its pod stops: save them before that, the broker then starts with an empty volume; the operator does not restart it until then`,
    }
  }
  return undefined
}

function accountFault(seen: Seen, member: Member): Fault | undefined {
  return isLockedOut(seen, member)
    ? {
        reason: 'AccountReplaced',
        message: `the ServiceAccount ${accountName(seen.cluster.metadata.name)} was deleted and is made again, and the API server refuses the tokens of the one before: who has no new ones yet and falls silent is restarted, one by one; leave the ServiceAccount alone`,
      }
    : undefined
}

function listenerFault(seen: Seen, member: Member): Fault | undefined {
  const [listener] = seen.cluster.spec.listeners ?? []
  if (listener === undefined || seen.properties === undefined || seen.account === undefined) return undefined
  if (podOf(seen, member) !== undefined) {
    const ingress = member.external?.status?.loadBalancer?.ingress ?? []
    if (listener.type !== 'LoadBalancer' || ingress.length > 0) return undefined
    return {
      reason: 'AddressPending',
      message: `spec.listeners: the load balancer behind ${listener.host} has no address yet, and clients outside cannot reach the broker: look at its Service, whose name ends in -external`,
    }
  }
  return {
    reason: 'AddressPending',
    message: `spec.listeners: the Service for clients outside has no ${listener.type === 'NodePort' ? 'port of nodes' : 'address of a load balancer'} yet; the broker waits for it`,
  }
}

/** Tablets that nobody else can take, and brokers that are gone together. */
function drainFaults(seen: Seen): Fault[] {
  const { blocked, gone } = movesOf(seen)
  const faults: Fault[] = []
  if (gone.length > 1) {
    faults.push({
      reason: 'SeveralBrokersGone',
      message: `${brokersText(gone)} have been gone for longer than spec.replaceAfter: copies are made again for one broker at a time only, as several are more likely to come back. Bring all but one of them back; or give up the volumes of those that never will, as kubectl annotate pvc -n ${seen.key.namespace} ${brokerName(seen.cluster.metadata.name, brokerId(gone[0] ?? 0))} ${annotations.replaceVolume}=true`,
    })
  }
  const excess = new Set<number>(seen.members.filter(({ excess }) => excess).map(({ id }) => id))
  const held = blocked.filter(({ from }) => excess.has(from))
  if (held.length === 0) return faults
  const tablets = new Set(held.map(({ slice, at }) => `${slice.metadata.name} ${at}`)).size
  const ids = [...new Set(held.map(({ from }) => from))].sort((a, b) => a - b)
  const orphans = new Set(seen.orphans.map(({ slice }) => slice))
  const kept = new Map<string, string>()
  const names = new Set<string>()
  for (const { slice } of held) {
    if (orphans.has(slice)) kept.set(slice.topic.name, hexOf(slice.topic.id))
    else names.add(slice.topic.name)
  }
  const why = [...new Set(held.map(one => one.why))].slice(0, 3).join(', or ')
  const remedies = [
    `set spec.brokers, which is ${seen.cluster.spec.brokers}, to ${seen.members.length}`,
    ...(names.size > 0
      ? [`delete the LogTopics of ${fewOf(names)} under deletionPolicy Delete, with their records`]
      : []),
    ...(kept.size > 0
      ? [
          `remove what was kept of ${fewOf(kept.keys())}, whose LogTopics are gone: kubectl delete tabletslices -l '${labels.topicId} in (${[...kept.values()].slice(0, 5).join(',')})'`,
        ]
      : []),
  ]
  faults.push({
    reason: 'DrainBlocked',
    message: `${brokersText(ids)} cannot be removed, ${tablets} tablets of ${fewOf([...names, ...kept.keys()])} are there and no other broker can take them (${why}): ${remedies.join('; or ')}`,
  })
  return faults
}

/** The first of them in order, and how many more there are. */
export function fewOf(names: Iterable<string>): string {
  const sorted = [...names].sort()
  const more = sorted.length > 5 ? ` and ${sorted.length - 5} more` : ''
  return `${sorted.slice(0, 5).join(', ')}${more}`
}

/** Records that a deleted LogTopic was to take along, as far as anybody knows. */
function keptFaults({ orphans }: Seen): Fault[] {
  const unsure = orphans.filter(
    ({ slice, lastWord }) => slice.topic.deletionPolicy === 'Delete' && lastWord === undefined,
  )
  const names = new Map(unsure.map(({ slice }) => [slice.topic.id, slice.topic.name]))
  if (names.size === 0) return []
  const told = [...names].slice(0, 5)
  const more = names.size > told.length ? ` and ${names.size - told.length} more` : ''
  const ids = told.map(([id]) => hexOf(id)).join(',')
  return [
    {
      reason: 'RecordsKept',
      message: `the LogTopics of ${told.map(([, name]) => name).join(', ')}${more} were deleted while no operator saw it, and their deletionPolicy may have been set to Retain before: their records are kept. To remove them: kubectl delete tabletslices -l '${labels.topicId} in (${ids})'; to have them served again, set topic.deletionPolicy of these TabletSlices to Retain and make a LogTopic of the name`,
    },
  ]
}

function tabletFaults({ standings, cluster }: Seen, tablets: readonly JudgedTablet[]): Fault[] {
  const { total, offline, underReplicated } = countStates(tablets.map(({ state }) => state))
  const faults: Fault[] = []
  const which = offlineText(tablets, unnamedIn(standings))
  if (which !== undefined) {
    faults.push({
      reason: 'TabletsOffline',
      message: `${offline} of ${total} tablets are offline: ${which}. kubectl stele tablets --problems --cluster ${cluster.metadata.name} shows all`,
    })
  }
  if (underReplicated > 0) {
    faults.push({
      reason: 'UnderReplicated',
      message: `${underReplicated} of ${total} tablets have fewer copies in sync than replicas: wait for brokers that restart, or see with kubectl stele tablets --problems which`,
    })
  }
  return faults
}
