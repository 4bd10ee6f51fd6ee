import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import type { DeletionPolicy, Placed } from '../../control/kubernetes/ownership.ts'
import type { ObjectKey } from '../../kube/api.ts'
import type {
  ConfigMap,
  ServiceObject,
  Lease,
  NetworkPolicy,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  Role,
  RoleBinding,
  ServiceAccount,
  StatefulSet,
  StorageClass,
} from '../../kube/resources.ts'

/**
 * What a LogCluster that was deleted said at last of its data; or why they are kept, whatever it said. `undefined kind`: LogClusters are no kind that the API server knows
 * any more, so nobody asked for the end of this one.
 */
export type Ending = DeletionPolicy | 'paused' | 'orphaned' | 'undefined kind'

type Named<T> = ReadonlyMap<string, T>

/** What the API server says of the volume behind a claim. */
export type VolumeSeen = {
  /** Undefined: there is none of the name that the claim has. */
  readonly volume: PersistentVolume | undefined
  /** The nodes to which it is bound when none of them is there; undefined: it may be used somewhere. */
  readonly nodesGone: readonly string[] | undefined
}

/** All that is known of one LogCluster at one moment, its objects by name. Nothing here changes under the reader. */
export type Observed = Placed & {
  readonly key: ObjectKey
  /** By the wall clock, milliseconds since 1970. */
  readonly nowMs: number
  /** Undefined: there is none of this name, but topics or slices that name it. */
  readonly cluster: LogCluster | undefined
  /** How LogClusters of this name ended that were seen to be deleted, and from which something is there still; by their uids. */
  readonly endings: ReadonlyMap<string, Ending>
  readonly leases: Named<Lease>
  /** The names of Leases that their brokers do not renew. */
  readonly silent: ReadonlySet<string>
  readonly claims: Named<PersistentVolumeClaim>
  /** By the names of claims whose brokers are gone, asked just now. What nobody could say is not here. */
  readonly volumes: Named<VolumeSeen>
  readonly statefulSets: Named<StatefulSet>
  readonly pods: Named<Pod>
  readonly services: Named<ServiceObject>
  readonly configMaps: Named<ConfigMap>
  readonly serviceAccounts: Named<ServiceAccount>
  readonly roles: Named<Role>
  readonly roleBindings: Named<RoleBinding>
  readonly budgets: Named<PodDisruptionBudget>
  readonly policies: Named<NetworkPolicy>
  /** What somebody else deleted and is not there again: as `StatefulSet events-broker-0`. */
  readonly vanished: ReadonlySet<string>
  readonly storageClasses: Named<StorageClass>
  /** The zone of each node on which a broker stands, where the node says. */
  readonly zones: ReadonlyMap<string, string>
  /** The image of brokers of a new cluster that names none. */
  readonly image: string
}
