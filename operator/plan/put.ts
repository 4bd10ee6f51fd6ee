import type { LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { annotations, labels } from '../../control/kubernetes/resources/names.ts'
import type { JsonPatch, KubeObject, Resource } from '../../kube/api.ts'
import { isGoing } from '../observe/members.ts'
import { digestOf } from '../resources/digest.ts'
import { manager } from '../resources/labels.ts'
import { additionsIn } from './additions.ts'
import { covers } from './covers.ts'
import { keyOf, type Step } from './step.ts'

/** Whether we made it, for this LogCluster or an earlier one of its name. */
export function isOurs({ metadata }: KubeObject, cluster: LogCluster): boolean {
  const owners = metadata.ownerReferences ?? []
  if (owners.some(({ uid }) => uid === cluster.metadata.uid)) return true
  const foreign = owners.some(({ controller, kind }) => controller === true && kind !== 'LogCluster')
  return (
    !foreign &&
    metadata.labels?.[labels.cluster] === cluster.metadata.name &&
    metadata.labels[labels.managedBy] === manager
  )
}

/**
 * The step that makes the API server's object what is wanted; none when it is that already, or is on its way out.
 * What is there and not ours looks like nothing from here: who does the step finds it and leaves it alone.
 * What changed since the last time is told by a digest, what was edited by hand by a comparison: so nothing is written to find out.
 */
export function put<T extends KubeObject>(
  cluster: LogCluster,
  resource: Resource<T>,
  live: T | undefined,
  wanted: T,
): Step[] {
  const object = withDigest(wanted)
  const step = { kind: 'apply', resource, object } as const
  if (live === undefined || !isOurs(live, cluster)) return [{ ...step, isNew: true, reason: 'it is missing' }]
  if (isGoing(live)) return []
  const applied = live.metadata.annotations?.[annotations.applied]
  const isNews = applied !== object.metadata.annotations?.[annotations.applied]
  const additions = additionsIn(live, object)
  // What a webhook adds to every write must not keep a change from coming.
  if (additions.length > 0 && (!isNews || additions.some(isInTheWay)))
    return [takeAway(resource, live, additions, isNews)]
  if (isNews) return [{ ...step, isNew: false, reason: 'something else is wanted now' }]
  if (covers(live, object)) return []
  return [{ ...step, isNew: false, putsBack: true, reason: byHand, event: putBack(wanted) }]
}

const byHand = 'it was edited by hand'

/** Server-side apply is refused where a port would get a name that another one has. */
const isInTheWay = ({ path }: JsonPatch[number]): boolean => path === '/spec/ports'

/** Server-side apply takes nothing away that somebody else has set. */
function takeAway<T extends KubeObject>(
  resource: Resource<T>,
  live: T,
  additions: JsonPatch,
  isNews: boolean,
): Step {
  const version = {
    op: 'test',
    path: '/metadata/resourceVersion',
    value: live.metadata.resourceVersion,
  } as const
  const patch = [version, ...additions]
  const step = { kind: 'patch', resource, key: keyOf(live), patch, putsBack: true } as const
  return isNews
    ? { ...step, reason: 'what is not wanted any more is in the way' }
    : { ...step, reason: byHand, event: putBack(live) }
}

const putBack = ({ kind, metadata }: KubeObject): NonNullable<Step['event']> => ({
  type: 'Normal',
  reason: 'PutBack',
  action: 'PutBack',
  note: `the ${kind} ${metadata.name} was edited, and is as the operator made it again: change the LogCluster instead`,
})

function withDigest<T extends KubeObject>(object: T): T {
  const { metadata } = object
  const digest = { [annotations.applied]: digestOf(object) }
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, ...digest } } }
}
