import type { BrokerId } from '../../../base/quantities.ts'
import { annotations, apiVersion, labels, sliceName } from '../../../control/kubernetes/resources/names.ts'
import {
  tabletSlices,
  type SliceTablet,
  type TabletSlice,
} from '../../../control/kubernetes/resources/tablet-slice.ts'
import { sliceTablets } from '../../../control/model.ts'
import { carry, loadsOf, place, type Loads } from '../../../control/placement.ts'
import {
  assignmentOf,
  copiesOf,
  groundOf,
  leadersToCome,
  topicFault,
  type Ground,
} from '../../judge/topic.ts'
import type { Seen } from '../../observe/seen.ts'
import { hexOf, type TopicView } from '../../../control/kubernetes/ownership.ts'
import { clusterLabels } from '../../resources/labels.ts'
import { keyOf, type Step } from '../step.ts'

/** Places the tablets that topics lack: balanced over brokers, replicas over zones. One slice is one write. */
export function tablets(seen: Seen): Step[] {
  const lacking = seen.topicViews.filter(view => missingSlices(view).length > 0)
  if (lacking.length === 0) return []
  const ground = groundOf(seen)
  if (ground.tooEarly) return []
  const loads = loadsOf(
    ground.members.map(member => member.id),
    [],
  )
  for (const slice of seen.slices.values())
    for (const tablet of slice.tablets) carry(loads, tablet.replicas as BrokerId[])
  return lacking.flatMap(view =>
    topicFault(seen, view) === undefined ? placeTopic(seen, view, ground, loads) : [],
  )
}

type Missing = { readonly first: number; readonly count: number; readonly slice: TabletSlice | undefined }

/** The tablets that are not there, slice by slice. */
function missingSlices({ topic, slices }: TopicView): Missing[] {
  const byFirst = new Map(slices.map(slice => [slice.first, slice]))
  const missing: Missing[] = []
  for (let first = 0; first < topic.spec.tablets; first += sliceTablets) {
    const slice = byFirst.get(first)
    const there = slice?.tablets.length ?? 0
    const wanted = Math.min(sliceTablets, topic.spec.tablets - first)
    if (there < wanted) missing.push({ first: first + there, count: wanted - there, slice })
  }
  return missing
}

function placeTopic(seen: Seen, view: TopicView, ground: Ground, loads: Loads): Step[] {
  const replication = copiesOf(view) ?? view.topic.spec.replication
  if (replication > ground.members.length || leadersToCome(view, ground).length > 0) return []
  return missingSlices(view).map(missing => {
    const made = replicasOf(seen, view, missing, { ground, loads, replication }).map(replicas =>
      tabletOn(replicas, ground),
    )
    return missing.slice === undefined ? create(seen, view, missing.first, made) : extend(missing.slice, made)
  })
}

function replicasOf(
  seen: Seen,
  view: TopicView,
  { first, count }: Missing,
  { ground, loads, replication }: { ground: Ground; loads: Loads; replication: number },
): (readonly BrokerId[])[] {
  const byId = new Map(ground.members.map(member => [member.id, member]))
  const terrain = {
    zoneOf: (id: BrokerId) => byId.get(id)?.zone,
    mayLead: (id: BrokerId) => byId.get(id)?.standing.away === undefined,
    bytesOf: (id: BrokerId) => byId.get(id)?.standing.bytes,
  }
  const chosen = assignmentOf(view)
  const placed: (readonly BrokerId[])[] = []
  const take = (replicas: readonly BrokerId[]): void => {
    carry(loads, replicas)
    placed.push(replicas)
  }
  if (Array.isArray(chosen)) for (const replicas of chosen.slice(first, first + count)) take(replicas)
  const left = count - placed.length
  const next = { ...terrain, first: first + placed.length }
  if (left > 0) for (const replicas of place(loads, left, replication, next)) take(replicas)
  return placed
}

/** Nobody has copied anything yet: only who leads is in sync. Without a leader that was there before, nobody leads. */
function tabletOn(replicas: readonly BrokerId[], { members }: Ground): SliceTablet {
  const [leader] = replicas
  const record = members.find(member => member.id === leader)?.record
  const bare = { epoch: 0, version: 0, replicas, adding: [], removing: [] }
  if (leader === undefined || record === undefined) return { ...bare, isr: [] }
  return { ...bare, leader, isr: [{ broker: leader, incarnation: record.incarnation }] }
}

function create({ cluster }: Seen, view: TopicView, first: number, made: readonly SliceTablet[]): Step {
  const { name, namespace = '' } = cluster.metadata
  const hex = hexOf(view.id)
  const object: TabletSlice = {
    apiVersion,
    kind: 'TabletSlice',
    metadata: {
      name: sliceName(name, hex, first / sliceTablets),
      namespace,
      labels: { ...clusterLabels(name), [labels.topicId]: hex },
      annotations: {
        [annotations.logTopic]: view.topic.metadata.uid ?? '',
        [annotations.logCluster]: cluster.metadata.uid ?? '',
      },
    },
    topic: { name: view.name, id: view.id, deletionPolicy: view.topic.spec.deletionPolicy },
    first,
    tablets: made,
  }
  return {
    kind: 'create',
    resource: tabletSlices,
    object,
    reason: `${view.name} has tablets without a place`,
  }
}

/** Guarded by the whole slice's version: what a broker writes meanwhile lets it fail, and it comes again. */
function extend(slice: TabletSlice, made: readonly SliceTablet[]): Step {
  return {
    kind: 'patch',
    resource: tabletSlices,
    key: keyOf(slice),
    patch: [
      { op: 'test', path: '/metadata/resourceVersion', value: slice.metadata.resourceVersion },
      { op: 'test', path: '/topic/id', value: slice.topic.id },
      ...made.map(value => ({ op: 'add', path: '/tablets/-', value }) as const),
    ],
    reason: `${slice.topic.name} has tablets without a place`,
  }
}
