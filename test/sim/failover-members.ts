/**
 * Members of groups in a simulated cluster, as clients' libraries are: they look for their coordinator, join, take their share, commit, and begin anew where they are told to.
 * What they are told goes to a witness, who complains when something acknowledged is lost or a generation comes back.
 */
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import type { Coordinator } from '../../broker/groups/coordinator.ts'
import type { Joined } from '../../broker/groups/group-messages.ts'
import type { SimCluster, SimNode } from './cluster.ts'

export const workTopic = 'work'
export const workPartitions = 4

const askedMsMax = 1_500
const joinMsMax = 5_000
const sessionMs = 2_500
const rebalanceMs = 3_000
const again = { min: 10, max: 120 }
const always = { alive: true }

type Commit = {
  readonly partition: number
  /** No two commits have the same. */
  readonly value: number
  readonly generation: number
  readonly sentMs: number
  /** When it was acknowledged, and in which epoch of the tablet. */
  acknowledged?: { readonly atMs: number; readonly epoch: number }
  /** It was refused for what it was, so it is nowhere. */
  refused?: boolean
}

/** What one group's members have been told together. */
export class GroupWitness {
  readonly complaints: string[] = []
  readonly #commits: Commit[] = []
  /** By generation: who shared it out, and when its first share was told. */
  readonly #shared = new Map<number, { readonly by: string; readonly atMs: number }>()
  readonly codes = new Map<RefusalCode, number>()
  readonly epochs = new Set<number>()

  get acknowledged(): number {
    return this.#commits.filter(({ acknowledged }) => acknowledged !== undefined).length
  }

  get generations(): number {
    return this.#shared.size
  }

  told(code: RefusalCode): void {
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
  }

  sends(partition: number, generation: number, sentMs: number): Commit {
    const commit = { partition, generation, sentMs, value: this.#commits.length }
    this.#commits.push(commit)
    return commit
  }

  committed(commit: Commit, atMs: number, epoch: number): void {
    commit.acknowledged = { atMs, epoch }
    this.epochs.add(epoch)
    this.#checkGeneration(commit.generation, commit.sentMs, `commit ${commit.value} was acknowledged`)
  }

  /** `sentMs`: when the leader of the generation has shared it out, when that is who was told. */
  shared(generation: number, by: string, sentMs: number | undefined, atMs: number): void {
    const known = this.#shared.get(generation)
    if (known === undefined) this.#shared.set(generation, { by, atMs })
    else if (known.by !== by)
      this.complaints.push(`generation ${generation} was shared out twice: ${known.by}, ${by}`)
    if (sentMs !== undefined) this.#checkGeneration(generation, sentMs, 'shares were told')
  }

  /** A coordinator knows what was acknowledged by itself and by those before it. */
  fetched(partition: number, value: number | undefined, epoch: number, askedMs: number): void {
    const found = value === undefined ? undefined : this.#commits[value]
    if (found?.refused === true) this.complaints.push(`commit ${value} was refused and is there`)
    const lost = this.#commits.find(
      ({ partition: of, sentMs, acknowledged: told }) =>
        of === partition &&
        told !== undefined &&
        told.atMs < askedMs &&
        told.epoch <= epoch &&
        (found === undefined || (found.acknowledged !== undefined && found.acknowledged.atMs < sentMs)),
    )
    if (lost !== undefined)
      this.complaints.push(
        `epoch ${epoch} says ${value} for partition ${partition}; ${lost.value} was acknowledged in epoch ${lost.acknowledged?.epoch}`,
      )
  }

  #checkGeneration(generation: number, sentMs: number, what: string): void {
    const [later] = [...this.#shared].find(([other, { atMs }]) => other > generation && atMs < sentMs) ?? []
    if (later !== undefined)
      this.complaints.push(`${what} in generation ${generation} when ${later} had been shared out`)
  }
}

type Share = { readonly by: string; readonly partitions: readonly number[] }
type Heard<T> = { readonly answer: T; readonly epoch: number } | { readonly refused: RefusalCode } | undefined

export class FailoverMember {
  readonly #cluster: SimCluster
  readonly #group: string
  readonly #witness: GroupWitness
  #coordinator: SimNode | undefined
  #memberId = ''
  generation = -1
  share: readonly number[] | undefined
  stopped = false
  /** How many commits it was told of since the last look. */
  acknowledged = 0

  constructor(cluster: SimCluster, group: string, witness: GroupWitness) {
    this.#cluster = cluster
    this.#group = group
    this.#witness = witness
  }

  async run(): Promise<void> {
    const { clock, random } = this.#cluster
    while (!this.stopped) {
      if (this.#coordinator === undefined) await this.#look()
      else if (this.share === undefined) await this.#join()
      else if (random.chance(0.3)) await this.#heartbeat()
      else await this.#commit()
      await new Promise<void>(resolve => clock.after(always, random.between(again.min, again.max), resolve))
    }
  }

  /** Its process ends without a word, and the next one knows nothing of it. */
  restart(): void {
    this.#memberId = ''
    this.#coordinator = undefined
    this.share = undefined
  }

  async #look(): Promise<void> {
    const { nodes, random } = this.#cluster
    const heard = await this.#ask(
      random.pick(nodes as [SimNode, ...SimNode[]]),
      askedMsMax,
      async ({ router }) => ({ answer: await router.groups.coordinatorId(this.#group), epoch: -1 }),
    )
    if (heard === undefined || 'refused' in heard) return
    this.#coordinator = nodes.find(({ id }) => id === heard.answer)
  }

  async #join(): Promise<void> {
    const heard = await this.#tell(joinMsMax, coordinator =>
      coordinator.join(this.#group, {
        memberId: this.#memberId,
        instanceId: null,
        clientId: 'c',
        clientHost: '/127.0.0.1',
        sessionTimeoutMs: sessionMs,
        rebalanceTimeoutMs: rebalanceMs,
        protocolType: 'consumer',
        protocols: [{ name: 'a', metadata: Buffer.from('00000000000100017400000000', 'hex') }],
        idFirst: this.#cluster.random.chance(0.5),
        maySkipAssignment: false,
      }),
    )
    if (heard === undefined) return
    const { answer } = heard
    if (answer.refused !== undefined) {
      if (answer.refused === 'MEMBER_ID_REQUIRED') this.#memberId = answer.memberId
      else this.#refused(answer.refused)
      return
    }
    this.#memberId = answer.memberId
    this.generation = answer.generation
    await this.#sync(answer)
  }

  async #sync({ leader, memberId, generation, members }: Joined): Promise<void> {
    const { clock } = this.#cluster
    const sentMs = clock.monotonicMs()
    const by = `${memberId} at ${sentMs}`
    const shares = members.map((one, n): [string, Buffer] => {
      const partitions = Array.from({ length: workPartitions }, (_, p) => p).filter(
        p => p % members.length === n,
      )
      return [one.memberId, Buffer.from(JSON.stringify({ by, partitions } satisfies Share))]
    })
    const heard = await this.#tell(joinMsMax, coordinator =>
      coordinator.sync(this.#group, {
        memberId,
        instanceId: null,
        generation,
        protocolType: null,
        protocol: null,
        assignments: new Map(shares),
      }),
    )
    if (heard === undefined) return
    const { answer } = heard
    if (answer.refused !== undefined) return this.#refused(answer.refused)
    const share = JSON.parse(answer.assignment.toString()) as Share
    const isOwn = leader === memberId && share.by === by
    this.#witness.shared(generation, share.by, isOwn ? sentMs : undefined, clock.monotonicMs())
    this.share = share.partitions
    await this.fetch()
  }

  /** What is committed for its share, as a consumer asks before it begins. */
  async fetch(): Promise<void> {
    const askedMs = this.#cluster.clock.monotonicMs()
    const heard = await this.#tell(askedMsMax, coordinator => coordinator.find(this.#group)?.offsets)
    if (heard === undefined) return
    const { answer: offsets, epoch } = heard
    for (const partition of this.share ?? [])
      this.#witness.fetched(partition, offsets?.get(workTopic, partition)?.offset, epoch, askedMs)
  }

  async #heartbeat(): Promise<void> {
    const heard = await this.#tell(askedMsMax, coordinator =>
      coordinator.heartbeat(this.#group, this.#speaker),
    )
    if (heard?.answer !== undefined) this.#refused(heard.answer)
  }

  async #commit(): Promise<void> {
    const { clock } = this.#cluster
    const nowMs = clock.monotonicMs()
    const commits = (this.share ?? []).map(p => this.#witness.sends(p, this.generation, nowMs))
    const heard = await this.#tell(askedMsMax, coordinator =>
      coordinator.commit(
        this.#group,
        this.#speaker,
        commits.map(({ partition, value }) => ({
          topic: workTopic,
          partition,
          value: { offset: value, leaderEpoch: 0, metadata: '', commitTimestamp: nowMs, expireTimestamp: -1 },
        })),
      ),
    )
    if (heard === undefined) return
    if (heard.answer === undefined) {
      for (const commit of commits) this.#witness.committed(commit, clock.monotonicMs(), heard.epoch)
      this.acknowledged += 1
      return
    }
    if (neverKept.has(heard.answer)) for (const commit of commits) commit.refused = true
    this.#refused(heard.answer)
  }

  get #speaker() {
    return { memberId: this.#memberId, instanceId: null, generation: this.generation }
  }

  /** Asks the coordinator; undefined when it did not answer, or is none, which is seen to. */
  async #tell<T>(
    ms: number,
    what: (coordinator: Coordinator) => T | Promise<T>,
  ): Promise<{ readonly answer: T; readonly epoch: number } | undefined> {
    const node = this.#coordinator
    if (node === undefined) return undefined
    const heard = await this.#ask(node, ms, async ({ router }) => {
      const coordinator = router.groups.of(this.#group)
      return { answer: await what(coordinator), epoch: coordinator.epoch }
    })
    if (heard === undefined) this.#coordinator = undefined
    else if ('refused' in heard) this.#refused(heard.refused)
    else return heard
    return undefined
  }

  #ask<T>(
    node: SimNode,
    ms: number,
    what: (broker: NonNullable<SimNode['broker']>) => Promise<{ readonly answer: T; readonly epoch: number }>,
  ): Promise<Heard<T>> {
    const { clock, random } = this.#cluster
    const { broker } = node
    return new Promise(resolve => {
      clock.after(always, ms, () => resolve(undefined))
      if (broker === undefined) return
      const { clock: there } = node.sim.world
      const answer = (heard: Heard<T>): void =>
        void there.after(random.between(0.05, 0.5), () => resolve(heard))
      there.after(random.between(0.05, 0.5), () => {
        what(broker).then(answer, (error: unknown) => {
          if (error instanceof Refusal) answer({ refused: error.code })
          else this.#cluster.failed(error)
        })
      })
    })
  }

  #refused(code: RefusalCode): void {
    this.#witness.told(code)
    const meaning = meanings.get(code)
    if (meaning === undefined) throw new Error(`a member of ${this.#group} was told ${code}`)
    if (meaning === 'look again') this.#coordinator = undefined
    if (meaning === 'join as new') this.#memberId = ''
    if (meaning === 'join again' || meaning === 'join as new') this.share = undefined
  }
}

/** What a client does when it is told so; anything else it would give up at. */
const meanings = new Map<RefusalCode, 'wait' | 'look again' | 'join again' | 'join as new'>([
  ['COORDINATOR_LOAD_IN_PROGRESS', 'wait'],
  ['NOT_COORDINATOR', 'look again'],
  ['COORDINATOR_NOT_AVAILABLE', 'look again'],
  ['ILLEGAL_GENERATION', 'join again'],
  ['REBALANCE_IN_PROGRESS', 'join again'],
  ['UNKNOWN_MEMBER_ID', 'join as new'],
  ['GROUP_ID_NOT_FOUND', 'join as new'],
])

/** Told before anything was written. */
const neverKept = new Set<RefusalCode>([
  'ILLEGAL_GENERATION',
  'REBALANCE_IN_PROGRESS',
  'UNKNOWN_MEMBER_ID',
  'GROUP_ID_NOT_FOUND',
])
