/** The life of one replica as a total table: every event in every role has an answer, and a missing one does not compile. */
import { assert } from '../../base/assert.ts'
import { Refusal } from '../../base/refusals.ts'

/**
 * recovering: its log is being opened. leader: takes appends. follower: copies the leader (with replication).
 * offline: its disk failed or its data is gone; nothing is read or written. removed: its topic was deleted.
 */
export type Role = 'recovering' | 'leader' | 'follower' | 'offline' | 'removed'
export type RoleEvent = 'lead' | 'follow' | 'fail' | 'remove'

const transitions: Record<Role, Record<RoleEvent, Role | 'impossible'>> = {
  recovering: { lead: 'leader', follow: 'follower', fail: 'offline', remove: 'removed' },
  leader: { lead: 'leader', follow: 'follower', fail: 'offline', remove: 'removed' },
  follower: { lead: 'leader', follow: 'follower', fail: 'offline', remove: 'removed' },
  offline: { lead: 'offline', follow: 'offline', fail: 'offline', remove: 'removed' },
  removed: { lead: 'impossible', follow: 'impossible', fail: 'removed', remove: 'removed' },
}

export function nextRole(role: Role, event: RoleEvent): Role {
  const next = transitions[role][event]
  assert(next !== 'impossible', `a ${role} replica is never told to ${event}`)
  return next
}

/** Why a replica ends, as those who wait are told; NOT_LEADER_OR_FOLLOWER when it was taken from this broker. */
export type Closing = keyof typeof closings
export const closings = {
  UNKNOWN_TOPIC_OR_PARTITION: 'its topic was deleted',
  BROKER_STOPPING: 'the broker is stopping',
  NOT_LEADER_OR_FOLLOWER: 'other brokers hold it now',
} as const

/** What is told to who asks a replica in this role for what only a leader may do. `tablet` as in `topic-0`; `reason`: why it is offline or gone. */
export function refusalOf(role: Role, tablet: string, reason: string, closing: Closing): Refusal {
  if (role === 'offline' || role === 'recovering')
    return new Refusal('KAFKA_STORAGE_ERROR', `${tablet} is offline: ${reason}`)
  if (role === 'removed') return new Refusal(closing, `${tablet} is gone: ${reason}`)
  return new Refusal('NOT_LEADER_OR_FOLLOWER', `this broker does not lead ${tablet}`)
}
