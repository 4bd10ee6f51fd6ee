import { Refusal } from '../../../../base/refusals.ts'
import type { Tablet } from '../../../tablet/tablet.ts'

/** Refuses a client that knows another leader than this one (KIP-320); -1 is one that does not say. */
export function checkLeaderEpoch(tablet: Tablet, currentLeaderEpoch: number): void {
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === tablet.epoch) return
  const at = `${tablet.topic}-${tablet.partition} is at leader epoch ${tablet.epoch}, the client at ${currentLeaderEpoch}`
  throw new Refusal(currentLeaderEpoch < tablet.epoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH', at)
}
