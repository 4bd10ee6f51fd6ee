import type { BrokerPhase, BrokerStatus } from '../../control/kubernetes/resources/log-cluster.ts'
import { brokerName } from '../../control/kubernetes/resources/names.ts'
import { isBroken, isStarted } from '../judge/pod.ts'
import type { Member } from '../observe/members.ts'

export const brokerStatus = (cluster: string, member: Member): BrokerStatus => ({
  id: member.id,
  pod: `${brokerName(cluster, member.id)}-0`,
  ...(member.zone !== undefined && { zone: member.zone }),
  ...member.record,
  phase: phaseOf(member),
  ready: member.ready,
})

function phaseOf({ pod, excess, ready }: Member): BrokerPhase {
  if (pod !== undefined && isBroken(pod)) return 'Failed'
  if (excess) return 'Draining'
  if (ready) return 'Running'
  if (pod?.spec?.nodeName === undefined) return 'Pending'
  return isStarted(pod) ? 'Recovering' : 'Starting'
}
