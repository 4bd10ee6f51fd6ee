/** When committed offsets are old enough to be forgotten; the rules are Kafka's (KIP-211). */
import { consumerProtocolType, subscribedTopics } from '../../protocol/kafka/consumer-protocol.ts'
import type { CommittedOffset, CommittedOffsets } from './committed-offsets.ts'
import type { Group } from './group.ts'

/**
 * Offsets of a group without members are kept for `retentionMs` after the last member went, those of a client outside of any group so long
 * after their commit. While consumers are stable, offsets of topics that none of them reads any more go so long after their commit.
 */
export function expired(
  group: Group,
  offsets: CommittedOffsets,
  retentionMs: number,
  nowMs: number,
): CommittedOffset[] {
  const since = sinceWhen(group)
  if (since === undefined) return []
  return [...offsets].filter(({ topic, value }) => {
    if (value.expireTimestamp >= 0) return nowMs >= value.expireTimestamp
    const sinceMs = since(topic, value.commitTimestamp)
    return sinceMs !== undefined && nowMs - sinceMs >= retentionMs
  })
}

/** From which moment on an offset is counted; undefined while it stays in any case. */
function sinceWhen(group: Group): ((topic: string, commitMs: number) => number | undefined) | undefined {
  if (group.protocolType === undefined) return (_topic, commitMs) => commitMs
  if (group.state === 'Empty') return (_topic, commitMs) => Math.max(group.stateSinceMs, commitMs)
  if (group.state !== 'Stable') return undefined
  const subscribed = topicsRead(group)
  return subscribed && ((topic, commitMs) => (subscribed.has(topic) ? undefined : commitMs))
}

/** The topics that the group's members have subscribed to; undefined when they are no consumers, or speak in riddles. */
export function topicsRead(group: Group): ReadonlySet<string> | undefined {
  if (group.protocolType !== consumerProtocolType) return undefined
  const topics = new Set<string>()
  for (const subscription of group.subscriptions()) {
    const read = subscribedTopics(subscription)
    if (read === undefined) return undefined
    for (const topic of read) topics.add(topic)
  }
  return topics
}
