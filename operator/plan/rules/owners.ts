import { logTopics } from '../../../control/kubernetes/resources/log-topic.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { JsonPatch, KubeObject, Resource } from '../../../kube/api.ts'
import { leases, persistentVolumeClaims } from '../../../kube/resources.ts'
import { isGoing, isRetired } from '../../observe/members.ts'
import type { Seen } from '../../observe/seen.ts'
import { ownerOf } from '../../resources/labels.ts'
import { keyOf, type Step } from '../step.ts'

/**
 * spec.deletionPolicy on what holds data or says where data is, and is not the operator's to apply: under Delete the LogCluster owns it,
 * and takes it along; under Retain nothing does.
 */
export function owners(seen: Seen): Step[] {
  const retired = [...seen.claims.values()].filter(isRetired)
  return [
    ...[...seen.leases.values()].flatMap(lease => own(seen, leases, lease)),
    ...retired.flatMap(claim => own(seen, persistentVolumeClaims, claim)),
    ...[...seen.slices.values()].flatMap(slice => own(seen, tabletSlices, slice)),
    ...[...seen.topics.values()].flatMap(topic => own(seen, logTopics, topic)),
  ]
}

function own<T extends KubeObject>({ cluster }: Seen, resource: Resource<T>, object: T): Step[] {
  const { deletionPolicy } = cluster.spec
  const now = object.metadata.ownerReferences ?? []
  const others = now.filter(({ uid }) => uid !== cluster.metadata.uid)
  const isOwned = others.length < now.length
  if (isOwned === (deletionPolicy === 'Delete') || isGoing(object)) return []
  const next = isOwned ? others : [...now, ownerOf(cluster)]
  const path = '/metadata/ownerReferences'
  const guard: JsonPatch = [
    { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
    ...(now.length > 0 ? [{ op: 'test', path, value: now } as const] : []),
  ]
  const change =
    next.length > 0 ? ({ op: 'add', path, value: next } as const) : ({ op: 'remove', path } as const)
  const reason = `spec.deletionPolicy is ${deletionPolicy}`
  return [{ kind: 'patch', resource, key: keyOf(object), patch: [...guard, change], reason }]
}
