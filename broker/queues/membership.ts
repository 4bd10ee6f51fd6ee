/**
 * A member of a Kafka consumer group that lives in this broker. In comes what it wants to read; out goes what it was given, and who it is to
 * commit as. Always holds: while `speaker` is there the share is this member's alone, and a share that goes on from one
 * generation to the next was nobody else's in between.
 */
import type { Logger } from 'pino'
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import type { Clock, Timer } from '../../base/world.ts'
import {
  assignedTopics,
  assignmentOf,
  consumerProtocolType,
  subscribedTopics,
  subscriptionTo,
  type AssignedTopic,
} from '../../protocol/kafka/consumer-protocol.ts'
import type { Joined, JoinRequest, Speaker } from '../groups/group-messages.ts'
import type { Router } from '../router/router.ts'
import { assignors, type Subscriber } from './assignors.ts'

const heartbeatMs = 500
/** After it a member of a broker that crashed is out. */
const sessionTimeoutMs = 10_000
const rebalanceTimeoutMs = 60_000
const retryMs = 1_000

export type MembershipOptions = {
  readonly group: string
  readonly clock: Clock
  readonly router: Router
  readonly log: Logger
  /** What it wants to read now. */
  readonly topics: () => readonly string[]
  /** It was given these partitions; those it had before are still its own when they are among them. */
  readonly given: (share: readonly AssignedTopic[]) => void
  /** It has nothing any more, and others may have what it had. */
  readonly lost: () => void
  /** Something about it has changed, or it has found that it still is in. */
  readonly beat: () => void
}

export class Membership {
  readonly #options: MembershipOptions
  readonly #instanceId: string
  readonly #log: Logger
  #memberId = ''
  #speaker: Speaker | undefined
  /** The generation that it is in: until its shares are known nobody else has what was ours. */
  #held: Speaker | undefined
  #isLeader = false
  #trouble: Refusal | undefined
  #ended = false
  #wake: () => void = () => undefined
  /** The topics that the work was shared out by, and what was known of them. */
  #shared: readonly string[] = []
  #sharedAs = ''

  constructor(options: MembershipOptions) {
    this.#options = options
    // A static id, so that the next process finds the member that this one left behind when it crashed.
    this.#instanceId = `stele-http-${options.router.self}`
    this.#log = options.log
    void this.#run()
  }

  /** Whom to commit as; undefined while it has no share or it is not known yet what it is. */
  get speaker(): Speaker | undefined {
    return this.#speaker
  }

  /** Why it is not in the group; undefined while it is, or is on its way. */
  get trouble(): Refusal | undefined {
    return this.#trouble
  }

  /** It is out because the group was coordinated by another broker. */
  get wasElsewhere(): boolean {
    return this.#trouble?.code === 'NOT_COORDINATOR'
  }

  /** And still is: nothing can be had here. */
  get isElsewhere(): boolean {
    if (!this.wasElsewhere) return false
    try {
      this.#options.router.groups.of(this.#options.group)
      return false
    } catch (error) {
      return error instanceof Refusal && error.code === 'NOT_COORDINATOR'
    }
  }

  /** Members that brokers have left behind that coordinated the group before are out, so that what they had is shared out at once. */
  takeOver(): void {
    const { group, router } = this.#options
    const coordinator = router.groups.of(group)
    const others = [...(coordinator.find(group)?.group.members ?? [])].filter(
      ({ instanceId }) =>
        instanceId !== null && /^stele-http-\d+$/.test(instanceId) && instanceId !== this.#instanceId,
    )
    if (others.length > 0)
      coordinator.leave(
        group,
        others.map(({ instanceId }) => ({ memberId: '', instanceId })),
      )
  }

  /** What it wants to read may have changed. */
  lookAgain(): void {
    this.#wake()
  }

  /** Leaves, so that others take over. */
  end(): void {
    this.#ended = true
    this.#speaker = undefined
    this.#leave()
    this.#wake()
  }

  async #run(): Promise<void> {
    await Promise.resolve()
    while (!this.#ended) {
      let pauseMs = 0
      try {
        pauseMs = await this.#round()
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        this.#lose(error)
        pauseMs = retryMs
      }
      if (pauseMs > 0 && !this.#ended) await this.#pause(pauseMs)
    }
  }

  /** One generation. Answers how long to wait before the next is joined. */
  async #round(): Promise<number> {
    const { group, router, given } = this.#options
    const coordinator = router.groups.of(group)
    if (this.wasElsewhere) this.takeOver()
    if (this.#memberId === '') this.#leave()
    const wanted = this.#wanted()
    const joined = await coordinator.join(group, this.#joinRequest(wanted))
    if (this.#ended) return 0
    if (joined.refused !== undefined) return this.#refused(joined.refused, 'join')
    this.#memberId = joined.memberId
    // From here until the shares are known, others may be given what was ours.
    this.#speaker = undefined
    this.#isLeader = joined.leader === joined.memberId
    const others = joined.members.flatMap(({ metadata }) => subscribedTopics(metadata) ?? [])
    this.#shared = [...new Set([...wanted, ...others])]
    this.#sharedAs = this.#described(this.#shared)
    const speaker = {
      memberId: joined.memberId,
      instanceId: this.#instanceId,
      generation: joined.generation,
    }
    if (!follows(this.#held, speaker)) this.#options.lost()
    this.#held = speaker
    const { protocolType, protocol } = joined
    const assignments = this.#isLeader ? this.#shareOut(joined) : new Map<string, Buffer>()
    const share = await coordinator.sync(group, { ...speaker, protocolType, protocol, assignments })
    if (this.#ended) return 0
    // The next generation has begun before anybody was given a share of this one: nobody can have had what was ours.
    if (share.refused === 'REBALANCE_IN_PROGRESS') return 0
    if (share.refused !== undefined) return this.#refused(share.refused, 'sync')
    this.#speaker = speaker
    this.#trouble = undefined
    const assigned = assignedTopics(share.assignment) ?? []
    this.#log.info({ generation: speaker.generation, assigned }, 'HTTP consumers were given partitions')
    given(assigned)
    return this.#stay(speaker, wanted)
  }

  /** Resolves when it has to join again. */
  async #stay(speaker: Speaker, wanted: readonly string[]): Promise<number> {
    const { group, router, beat } = this.#options
    for (;;) {
      await this.#pause(heartbeatMs)
      if (this.#ended || !same(this.#wanted(), wanted)) return 0
      const refused = router.groups.of(group).heartbeat(group, speaker)
      if (refused === 'REBALANCE_IN_PROGRESS') return 0
      if (refused !== undefined) return this.#refused(refused, 'heartbeat')
      if (this.#isLeader && this.#described(this.#shared) !== this.#sharedAs) return 0
      beat()
    }
  }

  #joinRequest(wanted: readonly string[]): JoinRequest {
    const metadata = subscriptionTo(wanted)
    return {
      memberId: this.#memberId,
      instanceId: this.#instanceId,
      clientId: 'stele-http',
      clientHost: `/broker-${this.#options.router.self}`,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocolType: consumerProtocolType,
      protocols: [...assignors.keys()].map(name => ({ name, metadata })),
      idFirst: false,
      maySkipAssignment: true,
    }
  }

  #shareOut({ members, protocol }: Joined): Map<string, Buffer> {
    const subscribers: Subscriber[] = members.map(({ memberId, metadata }) => ({
      memberId,
      topics: subscribedTopics(metadata) ?? [],
    }))
    const topics = this.#options.router.topics()
    const shares = assignors.get(protocol)?.(subscribers, topic => topics.get(topic)?.tablets.length ?? 0)
    return new Map([...(shares ?? [])].map(([memberId, share]) => [memberId, assignmentOf(share)]))
  }

  /** What to notice by that topics have changed. */
  #described(names: readonly string[]): string {
    const topics = this.#options.router.topics()
    return JSON.stringify(
      names.map(name => [name, topics.get(name)?.id ?? '', topics.get(name)?.tablets.length ?? 0]),
    )
  }

  #wanted(): readonly string[] {
    return this.#options.topics().toSorted()
  }

  #refused(code: RefusalCode, step: string): number {
    // In a rebalance that began anew it joins again; as somebody else, when it is known no more.
    if (code !== 'REBALANCE_IN_PROGRESS') this.#memberId = ''
    const again = ['REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'].includes(code)
    this.#lose(
      new Refusal(code, `This broker's member of group ${this.#options.group} is out: ${step} was refused`),
    )
    return again ? 0 : retryMs
  }

  #lose(why: Refusal): void {
    if (this.#ended) return
    this.#speaker = undefined
    this.#held = undefined
    if (why.code !== this.#trouble?.code)
      this.#log.warn({ reason: why.message, code: why.code }, 'HTTP consumers lost their partitions')
    this.#trouble = why
    this.#options.lost()
  }

  /** Also what an earlier process has left behind. */
  #leave(): void {
    const { group, router } = this.#options
    try {
      router.groups.of(group).leave(group, [{ memberId: '', instanceId: this.#instanceId }])
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
    }
  }

  /** Ends early when it is woken. */
  async #pause(ms: number): Promise<void> {
    let timer: Timer | undefined
    await new Promise<void>(resolve => {
      timer = this.#options.clock.after(ms, resolve)
      this.#wake = resolve
    })
    timer?.cancel()
    this.#wake = () => undefined
  }
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((topic, i) => topic === b[i])

/** Nobody else can have had the share in between. */
const follows = (before: Speaker | undefined, now: Speaker): boolean =>
  before !== undefined &&
  before.memberId === now.memberId &&
  (now.generation === before.generation || now.generation === before.generation + 1)
