import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { accountName, annotations, configName } from '../../control/kubernetes/resources/names.ts'
import type { Standings } from '../../control/kubernetes/standing.ts'
import { brokerDefaults, propertiesKey, propertiesText } from '../resources/configuration.ts'
import { externalAddress } from '../resources/external-address.ts'
import { revisionOf, type BrokerPod } from '../resources/pod.ts'
import { isGoing, membersOf, type Member } from './members.ts'
import type { Observed } from './observed.ts'
import { settingFaults } from './settings.ts'
import { topicIdOf, topicsOf, type Topics } from '../../control/kubernetes/ownership.ts'

/** What was observed of a LogCluster, and what follows from it at once. */
export type Seen = Observed & {
  readonly cluster: LogCluster
  readonly members: readonly Member[]
  readonly topicViews: Topics['views']
  /** By the brokers' ids. */
  readonly standings: Standings
  /** Slices that belong to no LogTopic. */
  readonly orphans: Topics['orphans']
  /** Kafka's cluster id. */
  readonly clusterId: string
  /** One sentence for each mistake in spec.config. */
  readonly settingFaults: readonly string[]
  /** The uid of the brokers' ServiceAccount; undefined while there is none. */
  readonly account: string | undefined
  /** The pods that members are to have; none while their configuration, their account or their addresses outside are not known. */
  readonly wanted: ReadonlyMap<number, BrokerPod>
  /** The digests of these. */
  readonly revisions: ReadonlyMap<number, string>
  /** What brokers are started with: the last good configuration, undefined when there never was one. */
  readonly properties: string | undefined
}

export function see(observed: Observed, cluster: LogCluster): Seen {
  const faults = settingFaults('broker', cluster.spec.config)
  const now = observed.configMaps.get(configName(cluster.metadata.name))?.data?.[propertiesKey]
  const { views, orphans } = topicsOf(observed)
  const members = membersOf(observed, cluster)
  const clusterId = clusterIdOf(observed, cluster)
  const properties =
    faults.length === 0 ? propertiesText({ ...brokerDefaults(cluster), ...cluster.spec.config }) : now
  // Another operator, with another image of its own, is no reason to restart brokers.
  const image = cluster.spec.image ?? cluster.status?.image ?? observed.image
  const account = accountOf(observed, cluster)
  const wanted = new Map<number, BrokerPod>()
  for (const member of members) {
    const pod =
      properties === undefined || account === undefined
        ? undefined
        : wantedPod(member, { cluster, clusterId, properties, image, account })
    if (pod !== undefined) wanted.set(member.id, pod)
  }
  return {
    ...observed,
    cluster,
    members,
    topicViews: views,
    standings: new Map(members.map(({ id, standing }) => [id, standing])),
    orphans,
    clusterId,
    settingFaults: faults,
    account,
    wanted,
    revisions: new Map([...wanted].map(([id, pod]) => [id, revisionOf(pod)])),
    properties,
  }
}

/** The first cluster's uid: the volumes know it, so that a LogCluster made again under Retain has the same. */
function clusterIdOf({ claims }: Observed, { metadata, status }: LogCluster): string {
  const told = [...claims.values()]
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .map(claim => claim.metadata.annotations?.[annotations.clusterId])
    .find(id => id !== undefined)
  return told ?? status?.clusterId ?? topicIdOf(metadata.uid ?? '')
}

function accountOf({ serviceAccounts }: Observed, { metadata }: LogCluster): string | undefined {
  const account = serviceAccounts.get(accountName(metadata.name))
  return account === undefined || isGoing(account) ? undefined : account.metadata.uid
}

/** A member that is in excess and holds nothing: it is on its way out. */
export const isLeaving = (member: Member): boolean => member.excess && member.tablets === 0

/** The pod a member is to have; undefined while its configuration or its address outside is not known. */
export const podOf = (seen: Seen, member: Member): BrokerPod | undefined => seen.wanted.get(member.id)

function wantedPod(
  { id, zone, external }: Member,
  shared: Pick<BrokerPod, 'cluster' | 'clusterId' | 'properties' | 'image' | 'account'>,
): BrokerPod | undefined {
  const [listener] = shared.cluster.spec.listeners ?? []
  if (listener === undefined) return { ...shared, id, zone, external: undefined }
  const address = externalAddress(listener, id, external)
  return address === undefined ? undefined : { ...shared, id, zone, external: address }
}
