/**
 * Where a consumer should read that says in which rack it is: in comes a tablet that is led here, out goes a replica in that rack, or nothing when the leader
 * serves it best. The rule is that of Kafka's RackAwareReplicaSelector (KIP-392): who is in sync, and the one that holds most first.
 */
import { offset, type BrokerId } from '../../base/quantities.ts'
import type { Addresses } from '../../control/model.ts'
import type { Tablet } from '../tablet/tablet.ts'
import type { Router } from './router.ts'

export type Asker = {
  /** Empty when it does not say. */
  readonly rack: string
  /** It has to reach the replica in the same way. */
  readonly listener: keyof Addresses
}

export function nearest(
  router: Router,
  { led }: Pick<Tablet, 'led'>,
  { rack, listener }: Asker,
  at: number,
): BrokerId | undefined {
  if (rack === '' || led === undefined || router.settings.replicaSelector === '') return undefined
  if (router.broker(router.self)?.rack === rack) return undefined
  return led.readableAt(offset(at)).find(id => {
    const broker = router.broker(id)
    return broker?.rack === rack && broker.addresses[listener] !== undefined && router.isAlive(id)
  })
}
