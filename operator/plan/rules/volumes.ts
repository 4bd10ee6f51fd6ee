import { persistentVolumeClaims } from '../../../kube/resources.ts'
import { isLeaving, type Seen } from '../../observe/seen.ts'
import { sizeOf } from '../../judge/volume.ts'
import { claim } from '../../resources/claim.ts'
import { put } from '../put.ts'
import type { Step } from '../step.ts'

/** Brokers' volumes: made when missing, grown when spec.storage.size has grown, never made smaller than they are. */
export function volumes(seen: Seen): Step[] {
  const { cluster, clusterId } = seen
  return seen.members
    .filter(member => !isLeaving(member))
    .flatMap(member => {
      const { size } = sizeOf(seen, member)
      const storageClassName =
        member.claim === undefined
          ? cluster.spec.storage.storageClassName
          : member.claim.spec?.storageClassName
      const before = member.claim?.spec?.resources?.requests?.['storage']
      const grows = before !== undefined && before !== size
      const wanted = claim(cluster, member.id, { size, storageClassName, clusterId })
      return put(cluster, persistentVolumeClaims, member.claim, wanted).map((step): Step =>
        grows
          ? {
              ...step,
              event: {
                type: 'Normal',
                reason: 'VolumeGrows',
                action: 'GrowVolume',
                note: `the volume of broker ${member.id} is to have ${size} instead of ${before}`,
              },
            }
          : step,
      )
    })
}
