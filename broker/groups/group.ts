/**
 * One group, as Kafka's classic protocol has it. In come members who join, share out the work, show that they live, and leave; out go
 * generations: who is in, who leads, who got what. Always holds: a generation has one leader, each member one share of it, and what
 * is said in another generation is refused.
 */
import { assert } from '../../base/assert.ts'
import type { RefusalCode } from '../../base/refusals.ts'
import type { Clock, Random, Timer } from '../../base/world.ts'
import type { StoredGroup } from '../../protocol/kafka/group-records.ts'
import { kept, overheadBytes, type GroupMemory } from './group-memory.ts'
import type { JoinAnswer, JoinRequest, Leaver, Speaker, SyncAnswer, SyncRequest } from './group-messages.ts'
import { nextGroupState, type GroupEvent, type GroupState } from './group-states.ts'
import { joinedAs, shareOf, storedWith } from './group-views.ts'
import {
  memberBytes,
  Members,
  metadataOf,
  newMember,
  newMemberId,
  noBytes,
  sameProtocols,
  type Member,
} from './members.ts'
import { Sessions } from './sessions.ts'

/** What a group needs of the world around it. */
export type GroupSurroundings = {
  readonly clock: Clock
  readonly random: Random
  readonly memory: GroupMemory
  readonly sizeMax: number
  readonly initialRebalanceDelayMs: number
  /** Makes the group durable as it is described, and tells once how that went: undefined when it is. */
  keep(groupId: string, stored: StoredGroup, done: (refused: RefusalCode | undefined) => void): void
  /** Something for the log. */
  note(groupId: string, what: string, facts: object): void
}

/** A client that is gone while its first join waits is not noticed; so long it is counted as a member (as in Kafka). */
const newMemberMsMax = 300_000

/** Consumers know two or three protocols, and say about the same under each; some say there what they have, too. */
const otherProtocols = 2

const expectedBytes = (memberId: string): number => overheadBytes.member + memberId.length

export class Group {
  readonly id: string
  readonly #around: GroupSurroundings
  /** For looking at; only the group changes them. */
  readonly members: Members
  readonly #sessions: Sessions
  /** Ids that were given out and have not joined yet. */
  readonly #expected = new Map<string, Timer>()
  /** Members of this generation who have not asked for their share yet. */
  readonly #unsynced = new Set<string>()
  #state: GroupState = 'Empty'
  #stateSinceMs: number
  #generation = 0
  #protocolType: string | undefined
  #protocol: string | undefined
  /** The first rebalance of an empty group goes on for as long as others come, whoever has joined. */
  #gathering: { newcomers: boolean } | undefined
  #joinTimer: Timer | undefined
  #syncTimer: Timer | undefined

  constructor(id: string, around: GroupSurroundings) {
    this.id = id
    this.#around = around
    this.members = new Members(around.memory)
    this.#sessions = new Sessions(around.clock, member => this.#silent(member))
    this.#stateSinceMs = around.clock.nowMs()
  }

  /** The group as it was kept, still: `begin` makes its members' time go on. */
  static restored(id: string, stored: StoredGroup, around: GroupSurroundings): Group {
    const group = new Group(id, around)
    group.#restore(stored)
    return group
  }

  /** For a restored group, once members can reach it: they have their session time-out to show that they live. */
  begin(): void {
    for (const member of this.members) this.#sessions.heard(member)
    if (this.members.size > this.#around.sizeMax) this.#prepare('group.max.size is smaller now')
  }

  get state(): GroupState {
    return this.#state
  }

  /** Wall-clock time, milliseconds since 1970. */
  get stateSinceMs(): number {
    return this.#stateSinceMs
  }

  get generation(): number {
    return this.#generation
  }

  /** Undefined for a group that only keeps offsets. */
  get protocolType(): string | undefined {
    return this.#protocolType
  }

  get protocol(): string | undefined {
    return this.#protocol
  }

  /** A member asks to be in the next generation. Answered at once, or when that generation begins. */
  join(request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const { memberId } = request
    const refuse = (refused: RefusalCode): void => answer({ refused, memberId })
    if (!this.#around.memory.fits(this.#growthBy(request))) return refuse('GROUP_MAX_SIZE_REACHED')
    if (!this.#hasRoomFor(memberId)) {
      this.#turnAway(memberId)
      return refuse('GROUP_MAX_SIZE_REACHED')
    }
    if (this.#state === 'Dead') return refuse('COORDINATOR_NOT_AVAILABLE')
    if (!this.#agreesWith(request)) return refuse('INCONSISTENT_GROUP_PROTOCOL')
    if (memberId === '') return this.#joinNew(request, answer)
    if (this.#expected.has(memberId)) {
      if (request.instanceId !== null) return refuse('UNKNOWN_MEMBER_ID')
      this.#expect(memberId, undefined)
      return this.#add(memberId, request, answer)
    }
    const member = this.members.meant(request)
    if (typeof member === 'string') return refuse(member)
    this.#joinAgain(member, request, answer)
  }

  /** A member asks for its share; the leader brings everyone's. Answered when the shares are durable. */
  sync(request: SyncRequest, answer: (answer: SyncAnswer) => void): void {
    if (this.#state === 'Dead') return answer({ refused: 'COORDINATOR_NOT_AVAILABLE' })
    const member = this.#speaking(request)
    if (typeof member === 'string') return answer({ refused: member })
    const { protocolType, protocol, assignments } = request
    if (
      (protocolType ?? this.#protocolType) !== this.#protocolType ||
      (protocol ?? this.#protocol) !== this.#protocol
    )
      return answer({ refused: 'INCONSISTENT_GROUP_PROTOCOL' })
    if (this.#state === 'PreparingRebalance') return answer({ refused: 'REBALANCE_IN_PROGRESS' })
    this.#hasSynced(member)
    if (this.#state === 'Stable') {
      this.#sessions.heard(member)
      return answer(shareOf(member, this))
    }
    member.syncing?.({ refused: 'REBALANCE_IN_PROGRESS' })
    member.syncing = answer
    if (member === this.members.leader) this.#shareOut(assignments)
  }

  /** A member lives. Answers why it has to do something about it: REBALANCE_IN_PROGRESS means that it has to join again. */
  heartbeat(speaker: Speaker): RefusalCode | undefined {
    if (this.#state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    const member = this.#speaking(speaker)
    if (typeof member === 'string') return member
    this.#sessions.heard(member)
    return this.#state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : undefined
  }

  /**
   * Members go, or are taken out: a static one also by its static id alone. Answers for each why it could not, and refuses
   * all of them when the group is gone.
   */
  leave(leavers: readonly Leaver[]): RefusalCode | (RefusalCode | undefined)[] {
    if (this.#state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    let left = false
    const answers = leavers.map(({ memberId, instanceId }) => {
      if (this.#expected.has(memberId)) {
        this.#expect(memberId, undefined)
        left = true
        return undefined
      }
      const byInstance = memberId === '' && instanceId !== null
      const member = byInstance
        ? this.members.withInstance(instanceId)
        : this.members.meant({ memberId, instanceId })
      if (member === undefined) return 'UNKNOWN_MEMBER_ID'
      if (typeof member === 'string') return member
      this.#drop(member)
      left = true
      return undefined
    })
    if (left) this.#rebalanceWithout('members left')
    return answers
  }

  /**
   * Whether offsets may be committed: by a member in this generation, or by anybody (generation -1, no member id) while
   * there are no members. A member's commit shows that it lives.
   */
  mayCommit({ memberId, instanceId, generation }: Speaker): RefusalCode | undefined {
    if (this.#state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    if (generation < 0 && this.#state === 'Empty') return undefined
    if (generation < 0 && memberId === '' && instanceId === null) return 'UNKNOWN_MEMBER_ID'
    const member = this.#speaking({ memberId, instanceId, generation })
    if (typeof member === 'string') return member
    if (this.#state === 'CompletingRebalance') return 'REBALANCE_IN_PROGRESS'
    this.#sessions.heard(member)
    return undefined
  }

  /** Nobody is in it, nor about to join. */
  get unused(): boolean {
    return this.#state === 'Empty' && this.#expected.size === 0
  }

  /** What every member says of itself under the protocol in force. */
  *subscriptions(): Generator<Buffer, void> {
    for (const member of this.members) yield metadataOf(member, this.#protocol)
  }

  /** It was deleted, or another broker coordinates it: everybody who waits is told so. */
  end(code: RefusalCode): void {
    if (this.#state === 'Dead') return
    this.#become('end')
    this.#joinTimer?.cancel()
    this.#syncTimer?.cancel()
    for (const id of this.#expected.keys()) this.#expect(id, undefined)
    for (const member of this.members) this.#drop(member, code)
  }

  #restore(stored: StoredGroup): void {
    const { protocolType, protocol, generation, currentStateTimestamp } = stored
    this.#protocolType = protocolType === '' ? undefined : protocolType
    this.#protocol = protocol ?? undefined
    this.#generation = generation
    for (const of of stored.members) {
      const { memberId, groupInstanceId } = of
      const twin = groupInstanceId === null ? undefined : this.members.withInstance(groupInstanceId)
      if ((this.members.get(memberId) ?? twin) !== undefined) continue
      const member: Member = {
        ...newMember(memberId, groupInstanceId),
        clientId: of.clientId,
        clientHost: of.clientHost,
        sessionTimeoutMs: of.sessionTimeout,
        rebalanceTimeoutMs: of.rebalanceTimeout < 0 ? of.sessionTimeout : of.rebalanceTimeout,
        protocols: [{ name: protocol ?? '', metadata: kept(of.subscription) }],
        assignment: kept(of.assignment),
        reservedBytes: otherProtocols * (of.subscription.length + of.assignment.length + 200),
        isNew: false,
      }
      this.members.add(member)
    }
    const leader = this.members.get(stored.leader ?? '')
    if (leader !== undefined) this.members.lead(leader)
    if (this.members.size > 0) this.#state = 'Stable'
    if (currentStateTimestamp >= 0) this.#stateSinceMs = currentStateTimestamp
  }

  #joinNew(request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const { instanceId, clientId, sessionTimeoutMs } = request
    const memberId = newMemberId(instanceId ?? clientId, this.#around.random)
    const before = instanceId === null ? undefined : this.members.withInstance(instanceId)
    if (before !== undefined) this.#replace(before, memberId, request, answer)
    else if (instanceId === null && request.idFirst) {
      this.#expect(
        memberId,
        this.#around.clock.after(sessionTimeoutMs, () => this.#neverJoined(memberId)),
      )
      answer({ refused: 'MEMBER_ID_REQUIRED', memberId })
    } else this.#add(memberId, request, answer)
  }

  #joinAgain(member: Member, request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const asBefore = sameProtocols(member.protocols, request.protocols)
    const inGeneration = this.#state === 'CompletingRebalance' || this.#state === 'Stable'
    // In a stable group the leader may join again to have the work shared out anew: the topics may have changed.
    const mayStay = this.#state === 'CompletingRebalance' || member !== this.members.leader
    if (inGeneration && asBefore && mayStay) {
      this.#sessions.heard(member)
      return answer(joinedAs(member, this))
    }
    this.#change(member, request, answer)
    this.#rebalance(`${member.id} joined again`)
  }

  #add(memberId: string, request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    if (this.#gathering !== undefined) this.#gathering.newcomers = true
    if (this.members.size === 0) this.#protocolType = request.protocolType
    const member = newMember(memberId, request.instanceId)
    this.#take(member, request)
    this.members.add(member)
    member.joining = answer
    this.#sessions.heard(member, newMemberMsMax)
    this.#rebalance(`${memberId} joined`)
  }

  /** A static member has started again: it takes its own place over, and who was there under its name is fenced off. */
  #replace(member: Member, id: string, request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    const before = { id: member.id, leader: this.members.leader?.id ?? '', protocol: this.#protocol }
    member.joining?.({ refused: 'FENCED_INSTANCE_ID', memberId: before.id })
    member.syncing?.({ refused: 'FENCED_INSTANCE_ID' })
    member.joining = undefined
    member.syncing = undefined
    this.members.rename(member, id)
    if (this.#unsynced.delete(before.id)) this.#unsynced.add(id)
    this.#change(member, request, answer)
    this.#sessions.heard(member)
    if (this.#state === 'Stable' && this.members.vote() === before.protocol)
      this.#keepPlace(member, before.leader, request)
    else if (this.#state === 'PreparingRebalance') this.#tryComplete()
    else this.#prepare(`static member ${member.instanceId} came back as ${id}`)
  }

  /** Nothing changes for the others: the one that came back gets the share it had, once its new id is durable. */
  #keepPlace(member: Member, leaderBefore: string, { maySkipAssignment }: JoinRequest): void {
    this.#keep(refused => {
      const answer = member.joining
      if (answer === undefined || this.#state !== 'Stable') return
      member.joining = undefined
      this.#sessions.heard(member)
      if (refused !== undefined) return answer({ refused, memberId: member.id })
      const joined = joinedAs(member, this)
      // A client that cannot be told to skip the assignment must not see that it leads.
      const told = maySkipAssignment
        ? { ...joined, skipAssignment: member === this.members.leader }
        : { ...joined, leader: leaderBefore, members: [] }
      answer(told)
    })
  }

  #change(member: Member, request: JoinRequest, answer: (answer: JoinAnswer) => void): void {
    this.#take(member, request)
    member.joining?.({ refused: 'REBALANCE_IN_PROGRESS', memberId: member.id })
    member.joining = answer
  }

  #take(member: Member, request: JoinRequest): void {
    const protocols = request.protocols.map(({ name, metadata }) => ({ name, metadata: kept(metadata) }))
    const { clientId } = request
    if (this.members.get(member.id) === member)
      this.members.update(member, { protocols, clientId, reservedBytes: 0 })
    else Object.assign(member, { protocols, clientId })
    member.clientHost = request.clientHost
    member.sessionTimeoutMs = request.sessionTimeoutMs
    member.rebalanceTimeoutMs =
      request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs
  }

  #rebalance(why: string): void {
    if (this.#state === 'PreparingRebalance') this.#tryComplete()
    else this.#prepare(why)
  }

  /** The same after somebody has gone: an empty group has nothing to share out. */
  #rebalanceWithout(why: string): void {
    if (this.#state !== 'Empty' && this.#state !== 'Dead') this.#rebalance(why)
  }

  #prepare(why: string): void {
    const { clock, initialRebalanceDelayMs: delayMs } = this.#around
    if (this.#state === 'CompletingRebalance') this.#takeSharesBack('REBALANCE_IN_PROGRESS')
    this.#syncTimer?.cancel()
    const wasEmpty = this.#state === 'Empty'
    this.#become('prepare')
    this.#around.note(this.id, 'rebalance begins', {
      why,
      generation: this.#generation,
      members: this.members.size,
    })
    if (!wasEmpty) return this.#tryComplete()
    this.#gathering = { newcomers: false }
    const restMs = Math.max(0, this.members.rebalanceTimeoutMs() - delayMs)
    this.#joinTimer = clock.after(delayMs, () => this.#gathered(delayMs, restMs))
  }

  /** A new group waits for more members, as long as in each delay somebody new has come. */
  #gathered(delayMs: number, restMs: number): void {
    if (this.#gathering?.newcomers !== true || restMs === 0) return this.#completeJoin()
    this.#gathering.newcomers = false
    const nextMs = Math.min(this.#around.initialRebalanceDelayMs, restMs)
    this.#joinTimer = this.#around.clock.after(nextMs, () =>
      this.#gathered(nextMs, Math.max(0, restMs - delayMs)),
    )
  }

  #tryComplete(): void {
    if (this.#state !== 'PreparingRebalance' || this.#gathering !== undefined) return
    if (this.#expected.size === 0 && this.members.present() === this.members.size) this.#completeJoin()
    else
      this.#joinTimer ??= this.#around.clock.after(this.members.rebalanceTimeoutMs(), () =>
        this.#completeJoin(),
      )
  }

  /** The waiting is over: who has not joined is out, unless it is static, and the next generation begins. */
  #completeJoin(): void {
    this.#joinTimer?.cancel()
    this.#joinTimer = undefined
    for (const member of this.members)
      if (member.joining === undefined && member.instanceId === null) this.#drop(member)
    const leader = this.members.leaderPresent()
    if (leader === undefined && this.members.size > 0) {
      // Only static members that are away: they are waited for until their sessions end.
      this.#joinTimer = this.#around.clock.after(this.members.rebalanceTimeoutMs(), () =>
        this.#completeJoin(),
      )
      return
    }
    this.#gathering = undefined
    this.#generation += 1
    this.#unsynced.clear()
    if (leader === undefined) return this.#emptied()
    this.members.lead(leader)
    this.#protocol = this.members.vote()
    assert(this.#protocol !== undefined, 'members that were let in have a protocol in common')
    this.#become('joined')
    for (const member of this.members) {
      const answer = member.joining
      member.joining = undefined
      member.isNew = false
      this.#unsynced.add(member.id)
      this.#sessions.heard(member)
      answer?.(joinedAs(member, this))
    }
    const generation = this.#generation
    this.#syncTimer = this.#around.clock.after(this.members.rebalanceTimeoutMs(), () =>
      this.#syncOverdue(generation),
    )
  }

  #emptied(): void {
    this.#protocol = undefined
    this.#become('emptied')
    this.#keep(refused => {
      if (refused !== undefined) this.#around.note(this.id, 'could not be kept as empty', { refused })
    })
  }

  #shareOut(assignments: ReadonlyMap<string, Buffer>): void {
    const generation = this.#generation
    let bytes = 0
    for (const { id, assignment } of this.members)
      bytes += (assignments.get(id)?.length ?? 0) - assignment.length
    if (!this.#around.memory.fits(bytes)) return this.#sharingFailed('GROUP_MAX_SIZE_REACHED')
    const shares = new Map([...this.members].map(({ id }) => [id, kept(assignments.get(id) ?? noBytes)]))
    const stored = storedWith(this, ({ id }) => shares.get(id) ?? noBytes)
    this.#around.keep(this.id, stored, refused => {
      if (this.#state !== 'CompletingRebalance' || this.#generation !== generation) return
      if (refused !== undefined) return this.#sharingFailed(refused)
      this.#become('assigned')
      for (const member of this.members) {
        this.members.update(member, { assignment: shares.get(member.id) ?? noBytes })
        const answer = member.syncing
        member.syncing = undefined
        this.#sessions.heard(member)
        answer?.(shareOf(member, this))
      }
    })
  }

  #sharingFailed(refused: RefusalCode): void {
    this.#takeSharesBack(refused)
    this.#prepare(`the shares could not be kept: ${refused}`)
  }

  /** Nobody is told a share of the generation before: that memory is kept for those of the next one. */
  #takeSharesBack(refused: RefusalCode): void {
    for (const member of this.members) {
      const answer = member.syncing
      member.syncing = undefined
      if (answer !== undefined) this.#sessions.heard(member)
      answer?.({ refused })
    }
  }

  #hasSynced(member: Member): void {
    this.#unsynced.delete(member.id)
    if (this.#unsynced.size === 0) this.#syncTimer?.cancel()
  }

  /** Members that joined and then never asked for their share are out. */
  #syncOverdue(generation: number): void {
    if (generation !== this.#generation || this.#unsynced.size === 0) return
    for (const id of this.#unsynced) {
      const member = this.members.get(id)
      if (member !== undefined) this.#drop(member)
    }
    this.#rebalanceWithout('members never asked for their share')
  }

  /** Nothing was heard of the member. Who waits for the group's answer cannot be heard; it is watched again once it has it. */
  #silent(member: Member): void {
    const waits = member.joining !== undefined || member.syncing !== undefined
    if (waits && !member.isNew) return
    this.#around.note(this.id, 'member lost', { memberId: member.id, generation: this.#generation })
    this.#drop(member)
    this.#rebalanceWithout(`nothing was heard of ${member.id} for its session time-out`)
  }

  #neverJoined(memberId: string): void {
    this.#expect(memberId, undefined)
    this.#tryComplete()
  }

  #expect(memberId: string, timer: Timer | undefined): void {
    const { memory } = this.#around
    this.#expected.get(memberId)?.cancel()
    if (this.#expected.delete(memberId)) memory.change(-expectedBytes(memberId))
    if (timer === undefined) return
    this.#expected.set(memberId, timer)
    memory.change(expectedBytes(memberId))
  }

  #drop(member: Member, code: RefusalCode = 'UNKNOWN_MEMBER_ID'): void {
    member.joining?.({ refused: code, memberId: '' })
    member.syncing?.({ refused: code })
    member.joining = undefined
    member.syncing = undefined
    this.#sessions.forget(member)
    this.#unsynced.delete(member.id)
    this.members.remove(member)
  }

  #become(event: GroupEvent): void {
    this.#state = nextGroupState(this.#state, event)
    this.#stateSinceMs = this.#around.clock.nowMs()
  }

  /** The member meant, by somebody who says in which generation he is. */
  #speaking(speaker: Speaker): Member | RefusalCode {
    const member = this.members.meant(speaker)
    if (typeof member === 'string' || speaker.generation === this.#generation) return member
    return 'ILLEGAL_GENERATION'
  }

  /** Of too many members, those who come back last are out. */
  #turnAway(memberId: string): void {
    const member = this.members.get(memberId)
    if (member === undefined) return
    this.#drop(member)
    this.#tryComplete()
  }

  #hasRoomFor(memberId: string): boolean {
    const { sizeMax } = this.#around
    const member = this.members.get(memberId)
    if (this.#state === 'Empty' || this.#state === 'Dead') return true
    if (this.#state === 'PreparingRebalance')
      return member?.joining !== undefined || this.members.present() < sizeMax
    return member !== undefined || this.members.size < sizeMax
  }

  /** How much more memory the group takes once the member has joined; it replaces what it was before. */
  #growthBy({ memberId, instanceId, clientId, protocols }: JoinRequest): number {
    const before =
      memberId === '' && instanceId !== null
        ? this.members.withInstance(instanceId)
        : this.members.get(memberId)
    const waits = this.#expected.has(memberId)
    if (before === undefined && memberId !== '' && !waits) return 0
    const id = before?.id ?? (memberId === '' ? (instanceId ?? clientId) : memberId)
    const after = memberBytes({
      reservedBytes: 0,
      protocols,
      assignment: before?.assignment ?? noBytes,
      clientId,
      id,
      instanceId,
    })
    return after - (before === undefined ? 0 : memberBytes(before)) - (waits ? expectedBytes(memberId) : 0)
  }

  #agreesWith({ protocolType, protocols }: JoinRequest): boolean {
    if (this.#state === 'Empty') return protocolType !== '' && protocols.length > 0
    return protocolType === this.#protocolType && this.members.haveInCommon(protocols)
  }

  #keep(done: (refused: RefusalCode | undefined) => void): void {
    this.#around.keep(
      this.id,
      storedWith(this, member => member.assignment),
      done,
    )
  }
}
