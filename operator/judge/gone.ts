import type { Member } from '../observe/members.ts'
import { isGoneIn } from '../observe/signs.ts'
import type { Seen } from '../observe/seen.ts'

/** Brokers that have been gone for longer than spec.replaceAfter. Of one without a claim the next is being made. */
export const goneBrokers = ({ members, cluster, nowMs }: Seen): readonly Member[] =>
  members.filter(
    member =>
      !member.ready &&
      member.record !== undefined &&
      member.claim !== undefined &&
      isGoneIn(cluster, member, nowMs),
  )
