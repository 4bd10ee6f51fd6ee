import { annotations, deletionName, labels } from '../../control/kubernetes/resources/names.ts'
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
