import { type LogCluster, logClusters } from '../../control/kubernetes/resources/log-cluster.ts'
import { type LogTopic, logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import { annotations, labels } from '../../control/kubernetes/resources/names.ts'
import { type TabletSlice, tabletSlices } from '../../control/kubernetes/resources/tablet-slice.ts'
import { ApiError, type KubeApi, type KubeObject, type Resource } from '../../kube/api.ts'
import {
  type Lease,
  leases,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  type Pod,
  pods,
} from '../../kube/resources.ts'
import { Failure } from '../failure.ts'
import { asFailure, type Connection } from './connect.ts'

/** One cluster with all that belongs to it, as the API server had it. */
export type Seen = {
  readonly cluster: LogCluster
  readonly topics: readonly LogTopic[]
  readonly slices: readonly TabletSlice[]
  /** Undefined where we may not look. */
  readonly pods: readonly Pod[] | undefined
  readonly claims: readonly PersistentVolumeClaim[] | undefined
  /** Of each broker whose Lease says so, its incarnation. */
  readonly incarnations: ReadonlyMap<number, number> | undefined
}

/**
 * The clusters, by namespace and name; only the one called `name`, if it is given.
 * @throws Failure when there is none
 */
export async function see({ api, namespace }: Connection, name: string | undefined): Promise<Seen[]> {
  const wanted = async <T extends KubeObject>(resource: Resource<T>): Promise<readonly T[]> =>
    (await api.list(resource, namespace === undefined ? {} : { namespace })).items
  const clusters = await wanted(logClusters).catch((error: unknown) => {
    throw asFailure(error, 'logclusters.stele.dev')
  })
  const chosen = clusters.filter(({ metadata }) => name === undefined || metadata.name === name)
  if (chosen.length === 0) throw await noCluster(api, clusters, { namespace, name })
  const labelled = async <T extends KubeObject>(resource: Resource<T>): Promise<readonly T[] | undefined> => {
    const selection = { labelSelector: labels.cluster, ...(namespace === undefined ? {} : { namespace }) }
    return api.list(resource, selection).then(
      ({ items }) => items,
      (error: unknown) => undefinedIfForbidden(error),
    )
  }
  const [topics, slices, ofPods, ofClaims, ofLeases] = await Promise.all([
    wanted(logTopics),
    wanted(tabletSlices),
    labelled(pods),
    labelled(persistentVolumeClaims),
    labelled(leases),
  ]).catch((error: unknown) => {
    throw asFailure(error, 'logtopics.stele.dev and tabletslices.stele.dev')
  })
  return chosen.toSorted(byNamespaceAndName).map(cluster => {
    const here = ({ metadata }: KubeObject): boolean => metadata.namespace === cluster.metadata.namespace
    const mine = (object: KubeObject): boolean =>
      here(object) && object.metadata.labels?.[labels.cluster] === cluster.metadata.name
    return {
      cluster,
      topics: topics
        .filter(topic => here(topic) && topic.spec.cluster === cluster.metadata.name)
        .toSorted(byNamespaceAndName),
      slices: slices.filter(mine),
      pods: ofPods?.filter(mine),
      claims: ofClaims?.filter(mine),
      incarnations: ofLeases === undefined ? undefined : incarnationsOf(ofLeases.filter(mine)),
    }
  })
}

function undefinedIfForbidden(error: unknown): undefined {
  if (error instanceof ApiError && error.code === 403) return
  throw error
}

function incarnationsOf(leases: readonly Lease[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>()
  for (const { metadata } of leases) {
    const text = metadata.annotations?.[annotations.broker]
    if (text === undefined) continue
    const { brokerId, incarnation } = JSON.parse(text) as { brokerId: number; incarnation: number }
    found.set(brokerId, incarnation)
  }
  return found
}

const placeOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`
const byNamespaceAndName = (a: KubeObject, b: KubeObject): number =>
  placeOf(a).localeCompare(placeOf(b), 'en')

async function noCluster(
  api: KubeApi,
  there: readonly LogCluster[],
  { namespace, name }: { readonly namespace: string | undefined; readonly name: string | undefined },
): Promise<Failure> {
  const where = namespace === undefined ? 'in any namespace' : `in namespace ${namespace}`
  const what = name === undefined ? 'there is no LogCluster' : `there is no LogCluster ${name}`
  const names = there.map(({ metadata }) => metadata.name)
  if (names.length > 0)
    return new Failure(`${what} ${where}`, `There are: ${[...new Set(names)].toSorted().join(', ')}.`)
  const elsewhere = await api.list(logClusters).then(
    ({ items }) => items.filter(({ metadata }) => name === undefined || metadata.name === name),
    () => [],
  )
  const [found] = elsewhere
  return new Failure(
    `${what} ${where}`,
    found === undefined
      ? 'docs/kubernetes.md shows how to make one.'
      : `There is one in namespace ${found.metadata.namespace}: say -n ${found.metadata.namespace}, or -A for all.`,
  )
}
