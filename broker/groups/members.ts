/**
 * The members of one group: who they are, who leads, and which protocols they have in common. Always holds: a group with members
 * has a leader among them, and a static id belongs to one member.
 */
import { assert } from '../../base/assert.ts'
import type { RefusalCode } from '../../base/refusals.ts'
import type { Random } from '../../base/world.ts'
import { overheadBytes, type GroupMemory } from './group-memory.ts'
import type { GroupProtocol, JoinAnswer, Leaver, SyncAnswer } from './group-messages.ts'

export type Member = {
  id: string
  readonly instanceId: string | null
  clientId: string
  clientHost: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocols: readonly GroupProtocol[]
  /** Its share of the work, as the leader has given it; empty without one. */
  assignment: Buffer
  /** Memory it may need when it joins again: only one of its protocols is kept, and it still knows the others. */
  reservedBytes: number
  /** It has not been told of any generation yet. */
  isNew: boolean
  /** It waits for the others to join, or for the leader to share out the work. */
  joining: ((answer: JoinAnswer) => void) | undefined
  syncing: ((answer: SyncAnswer) => void) | undefined
}

export class Members implements Iterable<Member> {
  readonly #memory: GroupMemory
  readonly #byId = new Map<string, Member>()
  readonly #byInstance = new Map<string, Member>()
  /** How many members know each protocol. */
  readonly #knowing = new Map<string, number>()
  #leader: Member | undefined

  constructor(memory: GroupMemory) {
    this.#memory = memory
  }

  get size(): number {
    return this.#byId.size
  }

  get leader(): Member | undefined {
    return this.#leader
  }

  get(id: string): Member | undefined {
    return this.#byId.get(id)
  }

  /** The member meant, or why there is none: who goes by a static id that another has taken over is fenced off. */
  meant({ memberId, instanceId }: Leaver): Member | RefusalCode {
    const holder = instanceId === null ? undefined : this.withInstance(instanceId)
    if (instanceId !== null && holder === undefined) return 'UNKNOWN_MEMBER_ID'
    if (holder !== undefined && holder.id !== memberId) return 'FENCED_INSTANCE_ID'
    return this.get(memberId) ?? 'UNKNOWN_MEMBER_ID'
  }

  /** The member with this static id. */
  withInstance(instanceId: string): Member | undefined {
    return this.#byInstance.get(instanceId)
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.#byId.values()
  }

  /** The first one leads. */
  add(member: Member): void {
    assert(!this.#byId.has(member.id), 'a member id is given once')
    this.#byId.set(member.id, member)
    if (member.instanceId !== null) {
      assert(!this.#byInstance.has(member.instanceId), 'a static id belongs to one member')
      this.#byInstance.set(member.instanceId, member)
    }
    this.#leader ??= member
    this.#know(member.protocols, 1)
    this.#memory.change(memberBytes(member))
  }

  /** When the leader goes, the one who is there longest leads. */
  remove(member: Member): void {
    if (!this.#byId.delete(member.id)) return
    if (member.instanceId !== null) this.#byInstance.delete(member.instanceId)
    if (this.#leader === member) this.#leader = this.#byId.values().next().value
    this.#know(member.protocols, -1)
    this.#memory.change(-memberBytes(member))
  }

  /** A static member has come back: the same member from now on goes by another id. */
  rename(member: Member, id: string): void {
    this.#byId.delete(member.id)
    this.#memory.change(id.length - member.id.length)
    member.id = id
    this.#byId.set(id, member)
  }

  /** Changes what a member says or has; the memory it takes follows. */
  update(member: Member, change: Partial<Counted>): void {
    const before = memberBytes(member)
    const known = member.protocols
    Object.assign(member, change)
    if (member.protocols !== known) {
      this.#know(known, -1)
      this.#know(member.protocols, 1)
    }
    this.#memory.change(memberBytes(member) - before)
  }

  lead(member: Member): void {
    assert(this.#byId.get(member.id) === member, 'the leader is a member')
    this.#leader = member
  }

  /** Who is to lead of those that have joined: the leader, or the first one; undefined when nobody has. */
  leaderPresent(): Member | undefined {
    if (this.#leader?.joining !== undefined) return this.#leader
    for (const member of this) if (member.joining !== undefined) return member
    return undefined
  }

  /** How many have joined the generation that is being prepared. */
  present(): number {
    let present = 0
    for (const { joining } of this) if (joining !== undefined) present += 1
    return present
  }

  /** So long the slowest of them may take to join again. */
  rebalanceTimeoutMs(): number {
    let max = 0
    for (const { rebalanceTimeoutMs } of this) max = Math.max(max, rebalanceTimeoutMs)
    return max
  }

  /** Whether one of these protocols is known to every member. */
  haveInCommon(protocols: readonly GroupProtocol[]): boolean {
    return protocols.some(({ name }) => this.#allKnow(name))
  }

  /** The protocol that most members like best of those that all of them know; undefined when there is none. */
  vote(): string | undefined {
    const votes = new Map<string, number>()
    for (const { protocols } of this) {
      const best = protocols.find(({ name }) => this.#allKnow(name))
      if (best !== undefined) votes.set(best.name, (votes.get(best.name) ?? 0) + 1)
    }
    let winner: { readonly name: string; readonly count: number } | undefined
    for (const [name, count] of votes) if (count > (winner?.count ?? 0)) winner = { name, count }
    return winner?.name
  }

  #allKnow(protocol: string): boolean {
    return (this.#knowing.get(protocol) ?? 0) === this.size
  }

  /** One member more knows these, or one fewer. It may name one of them twice. */
  #know(protocols: readonly GroupProtocol[], by: 1 | -1): void {
    for (const name of new Set(protocols.map(protocol => protocol.name))) {
      const count = (this.#knowing.get(name) ?? 0) + by
      if (count === 0) this.#knowing.delete(name)
      else this.#knowing.set(name, count)
    }
  }
}

export const noBytes = Buffer.alloc(0)

export const newMember = (id: string, instanceId: string | null): Member => ({
  id,
  instanceId,
  clientId: '',
  clientHost: '',
  sessionTimeoutMs: 0,
  rebalanceTimeoutMs: 0,
  protocols: [],
  assignment: noBytes,
  reservedBytes: 0,
  isNew: true,
  joining: undefined,
  syncing: undefined,
})

/** An id nobody can guess; its second part as Java prints uuids: 8-4-4-4-12 hexadecimal digits. */
export function newMemberId(name: string, random: Random): string {
  const hex = random.bytes(16).toString('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return [name, ...parts].join('-')
}

/** What a member says of itself under a protocol. */
export const metadataOf = ({ protocols }: Member, protocol: string | undefined): Buffer =>
  protocols.find(({ name }) => name === protocol)?.metadata ?? noBytes

/** Whether a member would say of itself what it has said before. */
export const sameProtocols = (a: readonly GroupProtocol[], b: readonly GroupProtocol[]): boolean =>
  a.length === b.length &&
  a.every(({ name, metadata }, i) => name === b[i]?.name && metadata.equals(b[i].metadata))

const protocolBytes = (protocols: readonly GroupProtocol[]): number =>
  protocols.reduce((sum, { name, metadata }) => sum + name.length + metadata.length + 100, 0)

type Counted = Pick<Member, 'protocols' | 'assignment' | 'clientId' | 'reservedBytes'>

/** What a member takes of the memory for groups. */
export const memberBytes = ({
  protocols,
  assignment,
  clientId,
  id,
  instanceId,
  reservedBytes,
}: Counted & Pick<Member, 'id' | 'instanceId'>): number =>
  overheadBytes.member +
  protocolBytes(protocols) +
  assignment.length +
  clientId.length +
  id.length +
  (instanceId?.length ?? 0) +
  reservedBytes
