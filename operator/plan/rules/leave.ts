import { annotations, labels } from '../../../control/kubernetes/resources/names.ts'
import type { JsonPatch, KubeObject, Resource } from '../../../kube/api.ts'
import { leases, persistentVolumeClaims, services, statefulSets } from '../../../kube/resources.ts'
import { idOf, isGoing, isRetired } from '../../observe/members.ts'
import { isLeaving, type Seen } from '../../observe/seen.ts'
import { isOurs } from '../put.ts'
import { keyOf, type Step } from '../step.ts'

/**
 * Removes brokers that are in excess and hold no tablet. First the claim says that the broker is no more; what it had follows in any order;
 * its Lease stays behind, so that its id is never given again. The claim itself stays under Retain.
 */
export function leave(seen: Seen): Step[] {
  const leaving = seen.members.filter(isLeaving)
  const claims = leaving.flatMap(({ claim }) => (claim === undefined || isGoing(claim) ? [] : [claim]))
  const retiring = claims.map(claim => retire(persistentVolumeClaims, claim))
  const staying = new Set<number>(seen.members.filter(member => !isLeaving(member)).map(({ id }) => id))
  const claimed = new Set(claims.map(idOf))
  const isLeft = (object: KubeObject): boolean => {
    const id = idOf(object)
    return id !== undefined && !staying.has(id) && !claimed.has(id)
  }
  return [
    ...retiring,
    ...clearSets(seen, isLeft),
    ...clearAddresses(seen, isLeft),
    ...clearData(seen, isLeft),
  ]
}

type IsLeft = (object: KubeObject) => boolean

const clearSets = (seen: Seen, isLeft: IsLeft): Step[] =>
  [...seen.statefulSets.values()]
    .filter(set => isLeft(set) && isOurs(set, seen.cluster) && !isGoing(set))
    .map(set => ({
      ...remove(statefulSets, set, 'there are more brokers than spec.brokers, and this one holds no tablet'),
      event: {
        type: 'Normal',
        reason: 'BrokerRemoved',
        action: 'RemoveBroker',
        note: `broker ${idOf(set)} is removed: there are more brokers than spec.brokers, and it holds no tablet`,
      },
    }))

/** Also those of all brokers when clients outside are no longer served. */
const clearAddresses = (seen: Seen, isLeft: IsLeft): Step[] =>
  [...seen.services.values()]
    .filter(one => idOf(one) !== undefined && isOurs(one, seen.cluster) && !isGoing(one))
    .filter(one => isLeft(one) || (seen.cluster.spec.listeners ?? []).length === 0)
    .map(one => remove(services, one, 'no listener of spec.listeners needs it'))

function clearData(seen: Seen, isLeft: IsLeft): Step[] {
  const name = seen.cluster.metadata.name
  const stopped = (object: KubeObject): boolean =>
    isLeft(object) && !isGoing(object) && !seen.pods.has(`${name}-broker-${idOf(object)}-0`)
  const told = [...seen.leases.values()].filter(lease => stopped(lease) && !isRetired(lease))
  const claims = [...seen.claims.values()].filter(
    claim => seen.cluster.spec.deletionPolicy === 'Delete' && isRetired(claim) && stopped(claim),
  )
  const spoken = new Set(told.map(({ metadata }) => metadata.name))
  return [
    ...told.map(lease => retire(leases, lease)),
    ...claims
      .filter(claim => !spoken.has(claim.metadata.name))
      .map(claim =>
        remove(persistentVolumeClaims, claim, 'its broker was removed, spec.deletionPolicy is Delete'),
      ),
  ]
}

/** The id stays used; a Lease no longer describes a broker. */
function retire<T extends KubeObject>(resource: Resource<T>, object: T): Step {
  const escaped = (name: string): string => name.replaceAll('/', '~1')
  const described = object.metadata.annotations?.[annotations.broker] !== undefined
  const patch: JsonPatch = [
    { op: 'test', path: '/metadata/uid', value: object.metadata.uid },
    { op: 'add', path: `/metadata/labels/${escaped(labels.retired)}`, value: 'true' },
    ...(described
      ? [{ op: 'remove', path: `/metadata/annotations/${escaped(annotations.broker)}` } as const]
      : []),
  ]
  return {
    kind: 'patch',
    resource,
    key: keyOf(object),
    patch,
    reason: 'its broker is removed, its id stays used',
  }
}

const remove = <T extends KubeObject>(resource: Resource<T>, object: T, reason: string): Step => ({
  kind: 'delete',
  resource,
  key: keyOf(object),
  uid: object.metadata.uid ?? '',
  reason,
})
