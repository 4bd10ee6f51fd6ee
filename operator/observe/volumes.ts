/**
 * What has become of the volumes of brokers that are gone: their claims enter, what the API server says of the PersistentVolumes and their nodes leaves. It is asked anew each
 * time, since data are given up on its word; and only of brokers that have been gone for long, so that nobody else costs a request.
 */
import { annotations } from '../../control/kubernetes/resources/names.ts'
import { isReady } from '../../control/kubernetes/standing.ts'
import { ApiError, type KubeApi } from '../../kube/api.ts'
import type { Log } from '../../kube/log.ts'
import { nodes, persistentVolumes, type PersistentVolume } from '../../kube/resources.ts'
import { isRetired } from './members.ts'
import type { Observed, VolumeSeen } from './observed.ts'
import { isGoneIn } from './signs.ts'

/** When more are gone than that, nothing is replaced anyway. */
const askedMax = 4

export async function volumesOf(
  observed: Omit<Observed, 'volumes'>,
  { api, log }: { readonly api: KubeApi; readonly log: Log },
): Promise<ReadonlyMap<string, VolumeSeen>> {
  const seen = new Map<string, VolumeSeen>()
  for (const name of doubtful(observed).slice(0, askedMax)) {
    const volumeName = observed.claims.get(name)?.spec?.volumeName
    if (volumeName === undefined || volumeName === '') continue
    try {
      const volume = await api.get(persistentVolumes, { namespace: '', name: volumeName })
      const nodesGone = volume && (await nodesGoneOf(volume, api))
      seen.set(name, { volume, nodesGone })
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      log.debug({ err: error, volume: volumeName }, 'what became of a volume is not known')
    }
  }
  return seen
}

/** Claims of brokers that do not come back. */
function doubtful({ cluster, claims, pods, leases, nowMs }: Omit<Observed, 'volumes'>): string[] {
  if (cluster === undefined) return []
  return [...claims].flatMap(([name, claim]) => {
    const pod = pods.get(`${name}-0`)
    if (isRetired(claim) || (pod !== undefined && isReady(pod))) return []
    const isGivenUp = claim.metadata.annotations?.[annotations.replaceVolume] !== undefined
    return isGivenUp || isGoneIn(cluster, { pod, claim, lease: leases.get(name) }, nowMs) ? [name] : []
  })
}

/** By their own names, and by the label that volumes go by: the two differ in some clouds. */
async function nodesGoneOf(volume: PersistentVolume, api: KubeApi): Promise<readonly string[] | undefined> {
  const names = nodesOf(volume)
  if (names === undefined) return undefined
  const { items } = await api.list(nodes, { labelSelector: `${hostname} in (${names.join(',')})` })
  if (items.length > 0) return undefined
  for (const name of names)
    if ((await api.get(nodes, { namespace: '', name })) !== undefined) return undefined
  return names
}

const hostname = 'kubernetes.io/hostname'

/** The only nodes that can have the volume; undefined where it is bound to none by name, as one of a zone is. */
export function nodesOf({ spec }: PersistentVolume): readonly string[] | undefined {
  const terms = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? []
  const names = terms.map(({ matchExpressions = [], matchFields = [] }) =>
    [
      ...matchExpressions.filter(({ key }) => key === hostname),
      ...matchFields.filter(({ key }) => key === 'metadata.name'),
    ].find(({ operator, values = [] }) => operator === 'In' && values.length > 0),
  )
  if (names.length === 0 || names.includes(undefined)) return undefined
  return [...new Set(names.flatMap(term => term?.values ?? []))]
}
