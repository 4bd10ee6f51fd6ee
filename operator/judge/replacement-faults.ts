import { annotations } from '../../control/kubernetes/resources/names.ts'
import type { Seen } from '../observe/seen.ts'
import type { Member } from '../observe/members.ts'
import type { Fault } from './fault.ts'
import { goneBrokers } from './gone.ts'
import { isStuck, lossOf, replacementsOf, type Replacement } from './replacement.ts'

/** Brokers that are gone, and what keeps their copies from being made again; with what their owner can say. */
export function replacementFaults(seen: Seen): Fault[] {
  const replacements = replacementsOf(seen)
  const judged = new Set(replacements.filter(({ verdict }) => verdict !== 'keep').map(({ member }) => member))
  const gone = goneBrokers(seen)
  const waiting = gone.length === 1 ? gone.filter(member => !member.excess && !judged.has(member)) : []
  return [
    ...seen.members.flatMap(member => dataFault(seen, member, judged)),
    ...replacements.flatMap(one => faultOf(seen, one)),
    ...waiting.filter(member => lossOf(seen, member) === undefined).map(member => goneFault(seen, member)),
  ]
}

/** A volume that is gone is told at once, and what becomes of it later. */
function dataFault(seen: Seen, member: Member, judged: ReadonlySet<Member>): Fault[] {
  if (member.claim?.status?.phase !== 'Lost' || judged.has(member)) return []
  const name = member.claim.metadata.name
  return [
    {
      reason: 'VolumeLost',
      message: `broker ${member.id}: the volume of the claim ${name} is gone: restore it; when the broker has been gone for spec.replaceAfter (${seen.cluster.spec.replaceAfter}) it gets an empty one, to which it copies everything anew, where other brokers have all of it in sync`,
    },
  ]
}

function faultOf(seen: Seen, { member, verdict, why, lastCopies }: Replacement): Fault[] {
  const { id } = member
  if (verdict === 'last copies') {
    return [
      {
        reason: 'LastCopies',
        message: `broker ${id} is gone, ${why}, and no other broker has in sync what it had of ${few(lastCopies)}: it gets no empty volume. Bring back the volume, its node, or the brokers that have copies; or give up what only this volume has: ${command(seen, member, 'with-last-copies')}`,
      },
    ]
  }
  if (verdict === 'others first') {
    return [
      {
        reason: 'ReplacementWaits',
        message: `broker ${id} is gone, ${why}: it gets an empty volume when all other brokers are ready and have everything in sync; or as soon as none of them is starting: ${command(seen, member, 'true')}`,
      },
    ]
  }
  if (verdict === 'replace' && isStuck(member, seen.nowMs)) return [stuckFault(member)]
  return []
}

const stuckFault = ({ id, pod }: Member): Fault => ({
  reason: 'PodStuck',
  message: `broker ${id} is to get an empty volume, and its pod does not stop: when the node ${pod?.spec?.nodeName ?? ''} is off for good, delete the Node, or taint it with node.kubernetes.io/out-of-service`,
})

function goneFault(seen: Seen, member: Member): Fault {
  const { id } = member
  return {
    reason: 'BrokerGone',
    message: `broker ${id} has been gone for longer than spec.replaceAfter (${seen.cluster.spec.replaceAfter}), and its volume may come back: its copies are made again on other brokers where one is free for them. Bring it back; when its node is gone for good, delete the Node; or give up its volume, and the broker begins anew with an empty one: ${command(seen, member, 'true')}`,
  }
}

const command = ({ key }: Seen, { claim }: Member, word: string): string =>
  `kubectl annotate pvc -n ${key.namespace} ${claim?.metadata.name ?? ''} ${annotations.replaceVolume}=${word}`

const namedMax = 5

function few(names: readonly string[]): string {
  const more = names.length > namedMax ? ` and ${names.length - namedMax} more` : ''
  return `${names.slice(0, namedMax).join(', ')}${more}`
}
