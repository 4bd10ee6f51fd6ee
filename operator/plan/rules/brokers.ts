import { services, statefulSets } from '../../../kube/resources.ts'
import { isLeaving, podOf, type Seen } from '../../observe/seen.ts'
import type { Member } from '../../observe/members.ts'
import { outsideAddress } from '../../resources/reaching.ts'
import { statefulSet } from '../../resources/stateful-set.ts'
import { isOurs, put } from '../put.ts'
import type { Step } from '../step.ts'

/** Each broker's StatefulSet, and its Service for clients outside, whose address has to be known before the broker starts. */
export function brokers(seen: Seen): Step[] {
  const staying = seen.members.filter(member => !isLeaving(member))
  return [
    ...staying.flatMap(member => external(seen, member)),
    ...staying.flatMap(member => set(seen, member)),
  ]
}

function external({ cluster }: Seen, { id, external: live }: Member): Step[] {
  const [listener] = cluster.spec.listeners ?? []
  return listener === undefined ? [] : put(cluster, services, live, outsideAddress(cluster, id, listener))
}

function set(seen: Seen, member: Member): Step[] {
  const pod = podOf(seen, member)
  // Over a claim that is somebody else's no broker is made: it would write into his data.
  const hasVolume = member.claim !== undefined && isOurs(member.claim, seen.cluster)
  if (pod === undefined || !hasVolume) return []
  const steps = put(seen.cluster, statefulSets, member.statefulSet, statefulSet(pod))
  return member.statefulSet === undefined ? steps.map(step => ({ ...step, event: created(member) })) : steps
}

const created = ({ id }: Member): NonNullable<Step['event']> => ({
  type: 'Normal',
  reason: 'BrokerCreated',
  action: 'CreateBroker',
  note: `broker ${id} is created`,
})
