/**
 * The data of a LogCluster that was deleted under Delete: what was seen of its name enters, the next writes leave. What always holds: nothing
 * is removed of which the LogCluster was not seen to say Delete at last, nothing that another one has; and what was begun stands in
 * a record of its own, so that any operator can go on from any moment.
 */
import { logTopics } from '../../../control/kubernetes/resources/log-topic.ts'
import { annotations, deletionName } from '../../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { KubeObject, Resource } from '../../../kube/api.ts'
import { configMaps, leases, persistentVolumeClaims, type ConfigMap } from '../../../kube/resources.ts'
import { idOf, isGoing } from '../../observe/members.ts'
import type { Observed } from '../../observe/observed.ts'
import { removalOf } from '../../observe/removal.ts'
import { holderOf } from '../../../control/kubernetes/ownership.ts'
import { clusterLabels } from '../../resources/labels.ts'
import { keyOf, type Step } from '../step.ts'

/** One stage at a time, the knowledge of what there is last. Undefined where nothing is to be removed. */
export function farewell(observed: Observed): Step[] | undefined {
  const removal = removalOf(observed)
  if (removal === undefined) {
    const uid = [...observed.endings].find(([, ending]) => ending === 'Delete')?.[0]
    return uid === undefined ? undefined : [begin(observed, uid)]
  }
  const { uid, record } = removal
  if (isGoing(record)) return []
  // It is back, as after a restoration of the whole API: nothing of it is to go.
  if (observed.cluster?.metadata.uid === uid) return [remove(configMaps, record)]
  if (observed.endings.get(uid) === 'undefined kind') return [remove(configMaps, record)]
  // While garbage collection has not taken the brokers, they run.
  if ([...observed.statefulSets.values()].some(set => isOwnedBy(set, uid))) return []
  const stages = stagesOf(observed, uid)
  const next = stages.find(stage => stage.some(isThere))
  if (next !== undefined)
    return next.filter(isThere).map(({ resource, object }) => remove(resource, object, uid))
  // What is on its way out is waited for: a LogCluster made again must find nothing of it.
  return stages.some(stage => stage.length > 0) || hasBrokers(observed) ? [] : [remove(configMaps, record)]
}

type Doomed = { readonly resource: Resource; readonly object: KubeObject }

const isThere = ({ object }: Doomed): boolean => !isGoing(object)

function stagesOf(observed: Observed, uid: string): Doomed[][] {
  const isMarked = ({ metadata }: KubeObject): boolean =>
    metadata.annotations?.[annotations.logCluster] === uid
  const doomed = (resource: Resource, objects: readonly KubeObject[]): Doomed[] =>
    objects.map(object => ({ resource, object }))
  const slices = [...observed.slices.values()].filter(isMarked)
  const holders = new Set(slices.map(holderOf))
  const topics = [...observed.topics.values()].filter(({ metadata }) => holders.has(metadata.uid ?? ''))
  const claims = [...observed.claims.values()].filter(isMarked)
  // Leases keep ids from being given again, while anything is there that names these; and a broker that runs makes its own again.
  const isNamed = slices.length < observed.slices.size || claims.length < observed.claims.size
  const ended = isNamed || claims.length > 0 || hasBrokers(observed) ? [] : [...observed.leases.values()]
  return [
    // One with a finalizer of somebody's holds nothing up: its slices know it.
    doomed(
      logTopics,
      topics.filter(topic => !isGoing(topic)),
    ),
    doomed(tabletSlices, slices),
    doomed(persistentVolumeClaims, claims),
    doomed(leases, ended),
  ]
}

const hasBrokers = ({ pods }: Observed): boolean => [...pods.values()].some(pod => idOf(pod) !== undefined)

const isOwnedBy = ({ metadata }: KubeObject, owner: string): boolean =>
  (metadata.ownerReferences ?? []).some(({ uid }) => uid === owner)

const why = 'the LogCluster was deleted, its deletionPolicy was Delete'

function begin({ key }: Observed, uid: string): Step {
  const object: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      namespace: key.namespace,
      name: deletionName(key.name),
      labels: clusterLabels(key.name),
      annotations: { [annotations.logCluster]: uid },
    },
    data: { 'what.txt': `${why}: while this is here, its volumes, topics and records are being removed\n` },
  }
  return { kind: 'create', resource: configMaps, object, unlessCluster: uid, reason: why }
}

const remove = (resource: Resource, object: KubeObject, unlessCluster?: string): Step => ({
  kind: 'delete',
  resource,
  key: keyOf(object),
  uid: object.metadata.uid ?? '',
  ...(unlessCluster !== undefined && { unlessCluster }),
  reason: why,
})
