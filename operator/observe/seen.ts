import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { annotations, configName } from '../../control/kubernetes/resources/names.ts'
import { propertiesKey, propertiesText } from '../resources/configuration.ts'
import { externalAddress, type ExternalAddress } from '../resources/external-address.ts'
import type { BrokerPod } from '../resources/pod.ts'
import { membersOf, type Member } from './members.ts'
import type { Observed } from './observed.ts'
import { settingFaults } from './settings.ts'
import { topicIdOf, topicsOf, type Topics } from './topics.ts'

/** What was observed of a LogCluster, and what follows from it at once. */
export type Seen = Observed & {
  readonly cluster: LogCluster
  readonly members: readonly Member[]
  readonly topicViews: Topics['views']
  /** Slices that belong to no LogTopic. */
  readonly orphans: Topics['orphans']
  /** Kafka's cluster id. */
  readonly clusterId: string
  /** One sentence for each mistake in spec.config. */
  readonly settingFaults: readonly string[]
  /** What brokers are started with: the last good configuration, undefined when there never was one. */
  readonly properties: string | undefined
}

export function see(observed: Observed, cluster: LogCluster): Seen {
  const faults = settingFaults('broker', cluster.spec.config)
  const now = observed.configMaps.get(configName(cluster.metadata.name))?.data?.[propertiesKey]
  const { views, orphans } = topicsOf(observed)
  return {
    ...observed,
    cluster,
    members: membersOf(observed, cluster),
    topicViews: views,
    orphans,
    clusterId: clusterIdOf(observed, cluster),
    settingFaults: faults,
    properties: faults.length === 0 ? propertiesText(cluster.spec.config) : now,
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

/** A member that is in excess and holds nothing: it is on its way out. */
export const isLeaving = (member: Member): boolean => member.excess && member.tablets === 0

/** The pod a member is to have; undefined while its configuration or its address outside is not known. */
export function podOf(seen: Seen, member: Member): BrokerPod | undefined {
  const { cluster, properties, clusterId } = seen
  if (properties === undefined) return undefined
  const [listener] = cluster.spec.listeners ?? []
  let external: ExternalAddress | undefined
  if (listener !== undefined) {
    external = externalAddress(listener, member.id, member.external)
    if (external === undefined) return undefined
  }
  return {
    cluster,
    id: member.id,
    image: cluster.spec.image ?? seen.image,
    clusterId,
    properties,
    zone: member.zone,
    external,
  }
}
