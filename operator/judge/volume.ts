import type { Member } from '../observe/members.ts'
import type { Seen } from '../observe/seen.ts'
import { quantityOf } from '../resources/quantity.ts'

/** How a member's volume stands to spec.storage. */
type Size = {
  /** What its claim is to request: never less than the volume has. */
  readonly size: string
  /** What spec.storage.size has to be at least. */
  readonly least: string
  readonly problem: 'shrinks' | 'cannot grow' | undefined
}

export function sizeOf({ cluster, storageClasses }: Seen, member: Member): Size {
  const { claim } = member
  const wanted = cluster.spec.storage.size
  const now = claim?.spec?.resources?.requests?.['storage']
  if (claim === undefined || now === undefined) return { size: wanted, least: wanted, problem: undefined }
  // What its driver cannot give may be taken back, down to what there is.
  const least = (isGrowing(member) ? claim.status?.capacity?.['storage'] : undefined) ?? now
  const [want = 0, have = 0, asked = 0] = [quantityOf(wanted), quantityOf(least), quantityOf(now)]
  if (want < have || (want === have && have < asked)) return { size: now, least, problem: 'shrinks' }
  if (want <= asked) return { size: want === asked ? now : wanted, least, problem: undefined }
  const storageClass = storageClasses.get(claim.spec?.storageClassName ?? '')
  const canGrow = storageClass === undefined || storageClass.allowVolumeExpansion === true
  return { size: canGrow ? wanted : now, least, problem: canGrow ? undefined : 'cannot grow' }
}

/** Whether its claim has not got yet what it asks for. Its driver and the kubelet see to that, each in its own time. */
export function isGrowing({ claim }: Member): boolean {
  const asked = claim?.spec?.resources?.requests?.['storage']
  const has = claim?.status?.capacity?.['storage']
  if (asked === undefined || has === undefined) return false
  const [want = 0, have = 0] = [quantityOf(asked), quantityOf(has)]
  return want > have
}
