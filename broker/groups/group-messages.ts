/** What members and the coordinator say to each other, free of the versions of Kafka's protocol. */
import type { RefusalCode } from '../../base/refusals.ts'

/** A way of sharing out the work that a member knows, and what it says of itself under it. Only members understand the bytes. */
export type GroupProtocol = { readonly name: string; readonly metadata: Buffer }

export type JoinRequest = {
  /** Empty for a new member. */
  readonly memberId: string
  /** `group.instance.id` of a static member (KIP-345). */
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  /** What it likes best first. Byte fields may be views of the request. */
  readonly protocols: readonly GroupProtocol[]
  /** A new member is first told its id, and joins with it (KIP-394). */
  readonly idFirst: boolean
  /** It can be told that it leads without having to share out the work (KIP-814). */
  readonly maySkipAssignment: boolean
}

export type JoinAnswer = JoinRefused | Joined

type JoinRefused = { readonly refused: RefusalCode; readonly memberId: string }

export type Joined = {
  readonly refused?: never
  readonly memberId: string
  readonly generation: number
  readonly protocolType: string
  readonly protocol: string
  readonly leader: string
  readonly skipAssignment: boolean
  /** For the leader: everybody. */
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly metadata: Buffer
  }[]
}

/** Who speaks, and in which generation of the group. */
export type Speaker = {
  readonly memberId: string
  readonly instanceId: string | null
  readonly generation: number
}

export type SyncRequest = Speaker & {
  /** Null from clients that do not say. */
  readonly protocolType: string | null
  readonly protocol: string | null
  /** By member id, from the leader alone. Byte fields may be views of the request. */
  readonly assignments: ReadonlyMap<string, Buffer>
}

export type SyncAnswer =
  | { readonly refused: RefusalCode }
  | {
      readonly refused?: never
      readonly protocolType: string
      readonly protocol: string
      readonly assignment: Buffer
    }

export type Leaver = { readonly memberId: string; readonly instanceId: string | null }

export type DescribedMember = {
  readonly memberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** Both empty unless the group is Stable. */
  readonly metadata: Buffer
  readonly assignment: Buffer
}
