import { type LogCluster, logClusters } from '../../control/kubernetes/resources/log-cluster.ts'
import { type LogTopic, logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import { topicsOf } from '../../control/kubernetes/ownership.ts'
import { labels } from '../../control/kubernetes/resources/names.ts'
import {
  isReady,
  judgedTablets,
  runIn,
  standingOf,
  type JudgedTablet,
  type Standings,
} from '../../control/kubernetes/standing.ts'
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
  readonly leases: readonly Lease[] | undefined
  /** Of each broker that anything tells of. */
  readonly standings: Standings
  /** Those that are to be served. */
  readonly tablets: readonly JudgedTablet[]
}

type Found = Omit<Seen, 'standings' | 'tablets'>

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
    return judge({
      cluster,
      topics: topics
        .filter(topic => here(topic) && topic.spec.cluster === cluster.metadata.name)
        .toSorted(byNamespaceAndName),
      slices: slices.filter(mine),
      pods: ofPods?.filter(mine),
      claims: ofClaims?.filter(mine),
      leases: ofLeases?.filter(mine),
    })
  })
}

function undefinedIfForbidden(error: unknown): undefined {
  if (error instanceof ApiError && error.code === 403) return
  throw error
}

function judge(found: Found): Seen {
  const standings = standingsOf(found)
  const { views } = topicsOf({
    topics: byName(found.topics),
    slices: byName(found.slices),
    lastWords: new Map(),
  })
  return { ...found, standings, tablets: judgedTablets(views, standings) }
}

function standingsOf({ cluster, pods, leases }: Found): Standings {
  const status = new Map((cluster.status?.brokers ?? []).map(broker => [broker.id, broker]))
  const podOf = byId(pods ?? [])
  const leaseOf = byId((leases ?? []).filter(lease => runIn(lease) !== undefined))
  const isSilent = silence(leases ?? [])
  const ids = new Set([...status.keys(), ...podOf.keys(), ...leaseOf.keys()])
  return new Map(
    [...ids].map(id => {
      const [pod, lease] = [podOf.get(id), leaseOf.get(id)]
      const seenReady = pod !== undefined && isReady(pod)
      const ready = pods === undefined ? (status.get(id)?.ready ?? true) : seenReady
      return [id, standingOf(id, { ready, lease, silent: lease !== undefined && isSilent(lease) })]
    }),
  )
}

/**
 * Which Leases have run out. One look sees no time pass, and clocks differ: a renewal counts as late only when it is by our own clock, and by that of
 * whoever renewed last.
 */
function silence(leases: readonly Lease[]): (lease: Lease) => boolean {
  const renewedMs = ({ spec }: Lease): number => Date.parse(spec?.renewTime ?? '')
  const nowMs = leases
    .map(renewedMs)
    .filter(Number.isFinite)
    .reduce((latest, ms) => Math.max(latest, ms), -Infinity)
  return lease => {
    const lateMs = Math.min(nowMs, Date.now()) - renewedMs(lease)
    return lateMs > 2_000 * (lease.spec?.leaseDurationSeconds ?? Infinity)
  }
}

/** The id on the label of an object of one broker. */
export const idOf = ({ metadata }: KubeObject): number | undefined => {
  const label = metadata.labels?.[labels.brokerId]
  return label === undefined ? undefined : Number(label)
}

const byId = <T extends KubeObject>(objects: readonly T[]): ReadonlyMap<number, T> =>
  new Map(
    objects.flatMap(object => {
      const id = idOf(object)
      return id === undefined ? [] : [[id, object]]
    }),
  )

const byName = <T extends KubeObject>(objects: readonly T[]): ReadonlyMap<string, T> =>
  new Map(objects.map(object => [object.metadata.name, object]))

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
