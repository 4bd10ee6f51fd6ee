/**
 * The operator's part in the life of topics, and nothing else of it: LogTopics and Leases enter, TabletSlices come out. For tests of brokers, which need
 * tablets placed and care little where.
 */
import { brokerId } from '../../base/quantities.ts'
import type { Clock } from '../../base/world.ts'
import { brokerIn } from '../../control/kubernetes/broker-lease.ts'
import { hexOf, topicsOf, type TopicView } from '../../control/kubernetes/ownership.ts'
import { logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import {
  annotations,
  apiVersion,
  dynamicConfigName,
  labels,
  sliceName,
} from '../../control/kubernetes/resources/names.ts'
import {
  tabletSlices,
  type SliceTablet,
  type TabletSlice,
} from '../../control/kubernetes/resources/tablet-slice.ts'
import { sliceTablets } from '../../control/model.ts'
import { loadsOf, place } from '../../control/placement.ts'
import type { KubeObject } from '../../kube/api.ts'
import type { Log } from '../../kube/log.ts'
import { configMaps, leases } from '../../kube/resources.ts'
import type { SimKube } from './kube.ts'

export const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

type Place = { readonly clock: Clock; readonly cluster: string; readonly namespace: string }

/** How long after a change the operator has seen to it. */
const placedMs = 2

/** Answers how to stop it. */
export function startPlacing(kube: SimKube, { clock, cluster, namespace }: Place): () => void {
  let working = true
  let planned = false
  const configName = dynamicConfigName(cluster)
  kube.set(configMaps, { namespace, name: configName }, now => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: configName, namespace },
    data: {},
    ...now,
  }))
  const work = (): void => {
    planned = false
    if (!working) return
    const { views, orphans } = topicsOf({
      topics: byName(kube.peekAll(logTopics).filter(({ spec }) => spec.cluster === cluster)),
      slices: byName(kube.peekAll(tabletSlices)),
      lastWords: new Map(),
    })
    for (const view of views) if (view.takenBy === undefined) placeTopic(kube, view)
    for (const { slice } of orphans) {
      if (slice.topic.deletionPolicy === 'Retain') continue
      kube.set(tabletSlices, { namespace, name: slice.metadata.name }, () => undefined)
    }
  }
  kube.onChange(logTopics, () => {
    if (planned) return
    planned = true
    clock.after(placedMs, work)
  })
  return () => {
    working = false
  }
}

const byName = <T extends KubeObject>(objects: readonly T[]): ReadonlyMap<string, T> =>
  new Map(objects.map(object => [object.metadata.name, object]))

function placeTopic(kube: SimKube, { topic, name, id, slices }: TopicView): void {
  const { cluster, tablets: total, replication, deletionPolicy } = topic.spec
  const { uid = '', namespace = '' } = topic.metadata
  const known = slices.flatMap(({ tablets }) => tablets)
  const given = topic.metadata.annotations?.[annotations.assignment]
  const wanted = given === undefined ? undefined : (JSON.parse(given) as number[][])
  const placed = [...known]
  const runs = runsOf(kube)
  const places = wanted ?? place(loadsOf([...runs.keys()].map(brokerId), []), total, replication)
  while (placed.length < total) placed.push(newTablet(runs, places[placed.length] ?? []))
  for (let first = 0; first < total; first += sliceTablets) {
    const object = sliceName(cluster, hexOf(id), first / sliceTablets)
    const before = slices.find(slice => slice.first === first)
    const tablets = placed.slice(first, first + sliceTablets)
    const isOwned = before?.metadata.annotations?.[annotations.logTopic] === uid
    if (isOwned && before.tablets.length === tablets.length) continue
    const metadata = {
      name: object,
      namespace,
      labels: { [labels.cluster]: cluster, [labels.topicId]: hexOf(id) },
      annotations: { [annotations.logTopic]: uid },
    }
    kube.set(tabletSlices, { namespace, name: object }, (now): TabletSlice => ({
      apiVersion,
      kind: 'TabletSlice',
      metadata: { ...now?.metadata, ...metadata },
      topic: { name, id, deletionPolicy },
      first,
      tablets,
    }))
  }
}

const runsOf = (kube: SimKube): Map<number, number> =>
  new Map(
    kube.peekAll(leases).flatMap(lease => {
      const broker = brokerIn(lease)
      return broker === undefined ? [] : [[broker.brokerId, broker.incarnation]]
    }),
  )

function newTablet(runs: ReadonlyMap<number, number>, replicas: readonly number[]): SliceTablet {
  const leader = replicas[0] ?? 0
  return {
    epoch: 0,
    version: 0,
    leader,
    replicas,
    adding: [],
    removing: [],
    isr: [{ broker: leader, incarnation: runs.get(leader) ?? 1 }],
  }
}
