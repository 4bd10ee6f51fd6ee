import { annotations, deletionName, labels } from '../../control/kubernetes/resources/names.ts'
import type { KubeObject } from '../../kube/api.ts'
import type { ConfigMap } from '../../kube/resources.ts'
import { manager } from '../resources/labels.ts'
import type { Observed } from './observed.ts'

/** That the data of a deleted LogCluster are being removed: its uid, and the object that says so. */
export type Removal = { readonly uid: string; readonly record: ConfigMap }

export function removalOf({ key, configMaps }: Observed): Removal | undefined {
  const record = configMaps.get(deletionName(key.name))
  const uid = record?.metadata.annotations?.[annotations.logCluster]
  const isOurs = record?.metadata.labels?.[labels.managedBy] === manager
  return record === undefined || uid === undefined || !isOurs ? undefined : { uid, record }
}

/** The uids of deleted LogClusters whose data are being removed, or are about to be. */
export function dyingIn(observed: Observed): ReadonlySet<string> {
  const removal = removalOf(observed)
  const ended = [...observed.endings].filter(([, ending]) => ending === 'Delete').map(([uid]) => uid)
  return new Set(removal === undefined ? ended : [...ended, removal.uid])
}

/** What a LogCluster finds that was made again while data of the one before are being removed: nothing of these. */
export function withoutDying(observed: Observed, dying: ReadonlySet<string>): Observed {
  if (dying.size === 0) return observed
  const uid = observed.cluster?.metadata.uid ?? ''
  const stays = ({ metadata }: KubeObject): boolean => {
    const whose = metadata.annotations?.[annotations.logCluster] ?? ''
    return whose === uid || !dying.has(whose)
  }
  const kept = <T extends KubeObject>(objects: ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
    new Map([...objects].filter(([, object]) => stays(object)))
  const { claims, slices } = observed
  // A Lease does not say whose it was.
  return { ...observed, claims: kept(claims), slices: kept(slices), leases: new Map() }
}
