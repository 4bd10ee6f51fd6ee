import { leases, persistentVolumeClaims, persistentVolumes, pods } from '../../../kube/resources.ts'
import type { KubeObject, Resource } from '../../../kube/api.ts'
import { isGoing, type Member } from '../../observe/members.ts'
import type { Seen } from '../../observe/seen.ts'
import { isStuck, replacementsOf, type Replacement } from '../../judge/replacement.ts'
import { isOurs } from '../put.ts'
import { keyOf, type AsSeen, type Step } from '../step.ts'

/**
 * Gives a broker whose data are lost an empty volume: its claim is deleted, then the pod that holds it. The next round makes another claim, and the StatefulSet another pod. Each is a
 * write of its own that leaves the next one to be found: so whoever goes on from there does the same.
 */
export const replaceLost = (seen: Seen): Step[] =>
  replacementsOf(seen)
    .filter(({ verdict, member }) => verdict === 'replace' && !isStuck(member, seen.nowMs))
    // One at a time, also when several were given up.
    .slice(0, 1)
    .flatMap(replacement => replace(seen, replacement))

function replace(seen: Seen, replacement: Replacement): Step[] {
  const { member, why } = replacement
  const { claim, pod } = member
  if (claim === undefined || !isOurs(claim, seen.cluster)) return []
  if (isGoing(claim))
    return pod === undefined || pod.spec?.nodeName === undefined ? [] : stop(member, pod, why)
  const keeping = keepVolume(seen, member)
  if (keeping.length > 0) return keeping
  const { uid = '', resourceVersion } = claim.metadata
  const old = seen.volumes.get(claim.metadata.name)?.volume?.metadata.name
  const kept =
    old !== undefined && seen.cluster.spec.deletionPolicy === 'Retain'
      ? `; the PersistentVolume ${old} is kept as it is`
      : ''
  return [
    {
      kind: 'delete',
      resource: persistentVolumeClaims,
      key: keyOf(claim),
      uid,
      ...(resourceVersion !== undefined && { resourceVersion }),
      asSeen: witnesses(seen, member),
      reason: why,
      event: {
        type: 'Warning',
        reason: 'VolumeReplaced',
        action: 'ReplaceVolume',
        note: `broker ${member.id} gets an empty volume, and copies everything anew: ${why}${kept}`,
      },
    },
  ]
}

/** Under Retain nothing removes what was on the volume, whatever its StorageClass says. */
function keepVolume(seen: Seen, { id, claim }: Member): Step[] {
  const volume = seen.volumes.get(claim?.metadata.name ?? '')?.volume
  const policy = volume?.spec?.persistentVolumeReclaimPolicy
  if (volume === undefined || seen.cluster.spec.deletionPolicy !== 'Retain' || policy === 'Retain') return []
  return [
    {
      kind: 'patch',
      resource: persistentVolumes,
      key: keyOf(volume),
      patch: [
        { op: 'test', path: '/metadata/uid', value: volume.metadata.uid },
        { op: 'test', path: '/spec/claimRef/uid', value: claim?.metadata.uid },
        { op: 'add', path: '/spec/persistentVolumeReclaimPolicy', value: 'Retain' },
      ],
      reason: 'its claim is about to go, and spec.deletionPolicy is Retain',
      event: {
        type: 'Normal',
        reason: 'VolumeKept',
        action: 'KeepVolume',
        note: `the PersistentVolume ${volume.metadata.name} of broker ${id} is kept when its claim goes: its persistentVolumeReclaimPolicy is Retain now`,
      },
    },
  ]
}

function stop({ id, lease, claim }: Member, pod: NonNullable<Member['pod']>, why: string): Step[] {
  if (isGoing(pod)) return []
  const { uid = '', resourceVersion } = pod.metadata
  return [
    {
      kind: 'delete',
      resource: pods,
      key: keyOf(pod),
      uid,
      ...(resourceVersion !== undefined && { resourceVersion }),
      asSeen: [...as(leases, lease), ...as(persistentVolumeClaims, claim)],
      reason: `it holds the volume that broker ${id} is to lose: ${why}`,
    },
  ]
}

/** By what the broker was judged: when any of it is different by now, it is judged again. */
function witnesses({ volumes, key, cluster }: Seen, { id, pod, lease, claim }: Member): AsSeen[] {
  const seen = volumes.get(claim?.metadata.name ?? '')
  const volumeName = claim?.spec?.volumeName
  const name = `${cluster.metadata.name}-broker-${id}`
  return [
    { resource: pods, key: { ...key, name: `${name}-0` }, resourceVersion: pod?.metadata.resourceVersion },
    { resource: leases, key: { ...key, name }, resourceVersion: lease?.metadata.resourceVersion },
    ...(seen === undefined || volumeName === undefined
      ? []
      : [
          {
            resource: persistentVolumes,
            key: { namespace: '', name: volumeName },
            resourceVersion: seen.volume?.metadata.resourceVersion,
          },
        ]),
  ]
}

const as = <T extends KubeObject>(resource: Resource<T>, object: T | undefined): AsSeen[] =>
  object === undefined
    ? []
    : [{ resource, key: keyOf(object), resourceVersion: object.metadata.resourceVersion }]
