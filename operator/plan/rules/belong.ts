import { annotations } from '../../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { JsonPatch, KubeObject, Resource } from '../../../kube/api.ts'
import { persistentVolumeClaims } from '../../../kube/resources.ts'
import { isGoing, isRetired } from '../../observe/members.ts'
import type { Seen } from '../../observe/seen.ts'
import { keyOf, type Step } from '../step.ts'

/** Says on what a LogCluster made again has taken over that it is this one's now: slices, and claims of removed brokers. */
export function belong(seen: Seen): Step[] {
  const retired = [...seen.claims.values()].filter(isRetired)
  return [
    ...retired.flatMap(claim => say(seen, persistentVolumeClaims, claim)),
    ...[...seen.slices.values()].flatMap(slice => say(seen, tabletSlices, slice)),
  ]
}

function say<T extends KubeObject>({ cluster }: Seen, resource: Resource<T>, object: T): Step[] {
  const { uid = '' } = cluster.metadata
  const { annotations: now } = object.metadata
  if (now?.[annotations.logCluster] === uid || isGoing(object)) return []
  const patch: JsonPatch = [
    { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
    ...(now === undefined ? [{ op: 'add', path: '/metadata/annotations', value: {} } as const] : []),
    { op: 'add', path: `/metadata/annotations/${annotations.logCluster.replaceAll('/', '~1')}`, value: uid },
  ]
  return [
    {
      kind: 'patch',
      resource,
      key: keyOf(object),
      patch,
      reason: `the LogCluster ${cluster.metadata.name} has it again`,
    },
  ]
}
