import { pods } from '../../../kube/resources.ts'
import { waitingToSpare } from '../../judge/minimum.ts'
import { isOutdated } from '../../judge/revision.ts'
import { holdsDeleted, type Member } from '../../observe/members.ts'
import { isLeaving, type Seen } from '../../observe/seen.ts'
import { keyOf, type Step } from '../step.ts'

/**
 * Restarts brokers whose pods are not what is wanted: one at a time, only while all others are ready, and only one that every tablet can spare, now that
 * its other replicas are in sync. So it stops at the first broker that does not come back. What can never spare it is away meanwhile, and is announced.
 */
export function roll(seen: Seen): Step[] {
  const staying = seen.members.filter(member => !isLeaving(member))
  if (!staying.every(member => member.ready)) return []
  const next = staying.find(
    member =>
      isOutdated(seen, member) && !holdsDeleted(member) && waitingToSpare(seen, member.id).length === 0,
  )
  return next?.pod === undefined ? [] : [restart(seen, next, next.pod)]
}

function restart(seen: Seen, { id }: Member, pod: NonNullable<Member['pod']>): Step {
  const alone = onlyCopies(seen, id)
  const warning =
    alone === 0
      ? ''
      : `; ${alone} ${alone === 1 ? 'tablet has its' : 'tablets have their'} only copy in sync there`
  return {
    kind: 'delete',
    resource: pods,
    key: keyOf(pod),
    uid: pod.metadata.uid ?? '',
    reason: 'another revision is wanted, and all other brokers are ready',
    event: {
      type: alone === 0 ? 'Normal' : 'Warning',
      reason: alone === 0 ? 'BrokerRestarts' : 'BrokerRestartsWithOnlyCopies',
      action: 'RestartBroker',
      note: `broker ${id} is restarted for a change of the LogCluster or the operator${warning}`,
    },
  }
}

/** How many tablets nobody else has in sync. */
function onlyCopies({ slices }: Seen, id: number): number {
  let count = 0
  for (const slice of slices.values()) {
    for (const { isr } of slice.tablets) if (isr.length === 1 && isr[0]?.broker === id) count += 1
  }
  return count
}
