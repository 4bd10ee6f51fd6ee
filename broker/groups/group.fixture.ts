import type { RefusalCode } from '../../base/refusals.ts'
import type { StoredGroup } from '../../protocol/kafka/group-records.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import { GroupMemory } from './group-memory.ts'
import type { JoinAnswer, Joined, JoinRequest, SyncAnswer } from './group-messages.ts'
import { Group, type GroupSurroundings } from './group.ts'

export const noBytes = Buffer.alloc(0)
export const delayMs = 500
export const sessionMs = 10_000
export const rebalanceMs = 60_000

export type Asked = Partial<JoinRequest>

/** A group on simulated time. What it wants kept is kept at once, or when the test says so. */
export class TestGroup {
  readonly sim: SimWorld
  readonly memory: GroupMemory
  readonly around: GroupSurroundings
  group: Group
  /** Everything it wanted kept. */
  readonly kept: StoredGroup[] = []
  /** Undefined: at once; otherwise what has to be decided yet. */
  undecided: ((refused: RefusalCode | undefined) => void)[] | undefined

  constructor({ sizeMax = 100, memoryBytes = 1e9, seed = 1 } = {}) {
    this.sim = simWorld({ seed })
    this.memory = new GroupMemory(memoryBytes)
    this.around = {
      clock: this.sim.world.clock,
      random: this.sim.world.random,
      memory: this.memory,
      sizeMax,
      initialRebalanceDelayMs: delayMs,
      keep: (_id, stored, done) => {
        this.kept.push(stored)
        if (this.undecided === undefined) done(undefined)
        else this.undecided.push(done)
      },
      note: () => undefined,
    }
    this.group = new Group('g', this.around)
  }

  pass(ms: number): Promise<void> {
    return this.sim.clock.runFor(ms)
  }

  join(asked: Asked = {}): Heard<JoinAnswer> {
    const heard = new Heard<JoinAnswer>()
    const request: JoinRequest = {
      memberId: '',
      instanceId: null,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: sessionMs,
      rebalanceTimeoutMs: rebalanceMs,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('topics') }],
      idFirst: false,
      maySkipAssignment: false,
      ...asked,
    }
    this.group.join(request, answer => heard.say(answer))
    return heard
  }

  sync(member: Joined, shares: Readonly<Record<string, string>> = {}, instanceId: string | null = null) {
    const heard = new Heard<SyncAnswer>()
    const { memberId, generation } = member
    this.group.sync(
      {
        memberId,
        instanceId,
        generation,
        protocolType: null,
        protocol: null,
        assignments: new Map(Object.entries(shares).map(([id, share]) => [id, Buffer.from(share)])),
      },
      answer => heard.say(answer),
    )
    return heard
  }

  heartbeat({ memberId, generation }: Joined, instanceId: string | null = null): RefusalCode | undefined {
    return this.group.heartbeat({ memberId, instanceId, generation })
  }

  /** Members who have joined together and got their shares: `share of ID`. */
  async stable(count: number, asked: (n: number) => Asked = () => ({})): Promise<Joined[]> {
    const joining = Array.from({ length: count }, (_, n) => this.join(asked(n)))
    await this.pass(2 * delayMs)
    const members = joining.map(heard => joined(heard))
    for (const [n, member] of members.entries()) {
      const shares = Object.fromEntries(
        member.members.map(({ memberId }) => [memberId, `share of ${memberId}`]),
      )
      this.sync(member, shares, asked(n).instanceId ?? null)
    }
    return members
  }
}

/** An answer that comes at most once. */
export class Heard<T> {
  answer: T | undefined

  say(answer: T): void {
    if (this.answer !== undefined) throw new Error('answered twice')
    this.answer = answer
  }
}

export function joined(heard: Heard<JoinAnswer>): Joined {
  if (heard.answer === undefined) throw new Error('not answered yet')
  if (heard.answer.refused !== undefined) throw new Error(heard.answer.refused)
  return heard.answer
}

export const share = (heard: Heard<SyncAnswer>): string | undefined =>
  heard.answer === undefined ? undefined : (heard.answer.refused ?? heard.answer.assignment.toString())
