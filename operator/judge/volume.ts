import type { Member } from '../observe/members.ts'
import type { Seen } from '../observe/seen.ts'
import { quantityOf } from '../resources/quantity.ts'

/** How a member's volume stands to spec.storage. */
type Size = {
  /** What its claim is to request: never less than it does. */
  readonly size: string
  readonly problem: 'shrinks' | 'cannot grow' | undefined
}

export function sizeOf({ cluster, storageClasses }: Seen, { claim }: Member): Size {
  const wanted = cluster.spec.storage.size
  const now = claim?.spec?.resources?.requests?.['storage']
  if (claim === undefined || now === undefined) return { size: wanted, problem: undefined }
  const [want = 0, have = 0] = [quantityOf(wanted), quantityOf(now)]
  if (want < have) return { size: now, problem: 'shrinks' }
  if (want === have) return { size: now, problem: undefined }
  const storageClass = storageClasses.get(claim.spec?.storageClassName ?? '')
  const canGrow = storageClass === undefined || storageClass.allowVolumeExpansion === true
  return canGrow ? { size: wanted, problem: undefined } : { size: now, problem: 'cannot grow' }
}

/** Whether its claim has not got yet what it asks for. Its driver and the kubelet see to that, each in its own time. */
export function isGrowing({ claim }: Member): boolean {
  const asked = claim?.spec?.resources?.requests?.['storage']
  const has = claim?.status?.capacity?.['storage']
  if (asked === undefined || has === undefined) return false
  const [want = 0, have = 0] = [quantityOf(asked), quantityOf(has)]
  return want > have
}
