import { apiVersion, annotations, labels } from '../../control/kubernetes/resources/names.ts'
import type { KubeObject } from '../../kube/api.ts'
import type { Ending, Observed } from '../observe/observed.ts'
import { removalOf } from '../observe/removal.ts'
import type { Fault } from './fault.ts'

/** Data that are still there although their LogCluster said Delete, as far as anybody knows; and the LogCluster that was. */
export function keptData(observed: Observed): (Fault & { readonly regarding: KubeObject }) | undefined {
  const { key, cluster, claims, endings } = observed
  if (cluster !== undefined || removalOf(observed) !== undefined) return undefined
  const kept = [...claims.values()]
    .map(({ metadata }) => metadata.annotations ?? {})
    .find(said => {
      const ending = endings.get(said[annotations.logCluster] ?? '')
      return ending === undefined ? said[annotations.deletionPolicy] === 'Delete' : isOverruled(ending)
    })
  if (kept === undefined) return undefined
  const uid = kept[annotations.logCluster] ?? ''
  return {
    reason: 'DataKept',
    message: `the LogCluster ${key.name} was deleted ${how(endings.get(uid))}: its data are kept. A LogCluster of this name serves them again; ${removalText(observed)}`,
    regarding: { apiVersion, kind: 'LogCluster', metadata: { ...key, uid } },
  }
}

/** How to get rid of what is kept. */
const removalText = ({ key }: Observed): string =>
  `to remove them for good: kubectl delete logtopics,tabletslices,pvc,leases -n ${key.namespace} -l ${labels.cluster}=${key.name}, and LogTopics that you made yourself by their names`

const isOverruled = (ending: Ending): boolean => ending !== 'Retain' && ending !== 'Delete'

function how(ending: Ending | undefined): string {
  if (ending === 'paused') return `while the annotation ${annotations.paused} stopped all changes`
  if (ending === 'undefined kind') return 'with the definition of all LogClusters'
  if (ending === 'orphaned') return 'with --cascade=orphan'
  return 'while no operator saw it, and its deletionPolicy may have been set to Retain before'
}
