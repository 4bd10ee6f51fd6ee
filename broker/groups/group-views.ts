/** What is told and kept of a group as it is now. Nothing here changes it. */
import type { StoredGroup } from '../../protocol/kafka/group-records.ts'
import type { DescribedMember, Joined, SyncAnswer } from './group-messages.ts'
import type { GroupState } from './group-states.ts'
import { metadataOf, noBytes, type Member, type Members } from './members.ts'

export type GroupFacts = {
  readonly state: GroupState
  readonly stateSinceMs: number
  readonly generation: number
  readonly protocolType: string | undefined
  readonly protocol: string | undefined
  readonly members: Members
}

/** For a member that is in the generation; the leader is told of everybody. */
export function joinedAs(member: Member, facts: GroupFacts): Joined {
  const { generation, protocolType = '', protocol = '', members } = facts
  const everybody = member === members.leader ? [...members] : []
  return {
    memberId: member.id,
    generation,
    protocolType,
    protocol,
    leader: members.leader?.id ?? '',
    skipAssignment: false,
    members: everybody.map(one => ({
      memberId: one.id,
      instanceId: one.instanceId,
      metadata: metadataOf(one, protocol),
    })),
  }
}

export const shareOf = ({ assignment }: Member, facts: GroupFacts): SyncAnswer => ({
  protocolType: facts.protocolType ?? '',
  protocol: facts.protocol ?? '',
  assignment,
})

/** The members as people are shown them. */
export function describedMembers({ state, protocol, members }: GroupFacts): DescribedMember[] {
  const stable = state === 'Stable'
  return [...members].map(member => ({
    memberId: member.id,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    metadata: stable ? metadataOf(member, protocol) : noBytes,
    assignment: stable ? member.assignment : noBytes,
  }))
}

/** The group as it is kept, with these shares. */
export function storedWith(facts: GroupFacts, shareOf: (member: Member) => Buffer): StoredGroup {
  const { protocolType, generation, protocol, members, stateSinceMs } = facts
  return {
    protocolType: protocolType ?? '',
    generation,
    protocol: protocol ?? null,
    leader: members.leader?.id ?? null,
    currentStateTimestamp: stateSinceMs,
    members: [...members].map(member => ({
      memberId: member.id,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs,
      sessionTimeout: member.sessionTimeoutMs,
      subscription: metadataOf(member, protocol),
      assignment: shareOf(member),
    })),
  }
}
