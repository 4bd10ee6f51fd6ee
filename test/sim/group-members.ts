/**
 * Members of a group as they are at their worst: they crash, sleep, never ask for their share and take each other's names. A seed enters; what
 * leaves is a history, checked while it happens. What always holds: a member does what a client's library would do with each answer.
 */
import { equal } from 'node:assert/strict'
import type { RefusalCode } from '../../base/refusals.ts'
import type { Seeded } from './seeded.ts'
import { TestGroup, type Asked } from '../../broker/groups/group.fixture.ts'
import type { JoinAnswer, Joined, SyncAnswer } from '../../broker/groups/group-messages.ts'

const sessionMs = 6_000
const heartbeatMs = 1_000
const rebalanceMs = 8_000

/** What everybody together has seen, and what must hold of it. */
class Witness {
  readonly #leaders = new Map<number, string>()
  readonly #protocols = new Map<number, string>()
  /** By generation and member (its static name, when it has one): the share it got. */
  readonly #shares = new Map<string, string>()
  latest = 0
  joins = 0
  shares = 0

  joined({ generation, leader, protocol, memberId, members, skipAssignment }: Joined): void {
    this.joins += 1
    this.latest = Math.max(this.latest, generation)
    equal(generation, this.latest, 'nobody joins a generation that is over')
    equal(this.#protocols.get(generation) ?? protocol, protocol)
    this.#protocols.set(generation, protocol)
    if (members.length === 0) return
    equal(memberId, leader, 'only the leader is told of everybody')
    // A static leader that came back goes by another id, and does not share out.
    if (skipAssignment) return
    equal(this.#leaders.get(generation) ?? leader, leader, 'one leader a generation')
    this.#leaders.set(generation, leader)
  }

  shared(generation: number, who: string, share: string): void {
    this.shares += 1
    equal(share, `${generation} ${who}`, 'a share of this generation and this member')
    const key = `${generation} ${who}`
    equal(this.#shares.get(key) ?? share, share)
    this.#shares.set(key, share)
  }
}

class Client {
  readonly instanceId: string | null
  readonly #t: TestGroup
  readonly #witness: Witness
  readonly #random: Seeded
  #memberId = ''
  #generation = -1
  #waits = false
  /** Until then it does nothing at all. */
  #asleepUntilMs = 0
  dead = false
  stable = false
  /** Now and then it joins and never asks for its share. */
  careless = true

  constructor(t: TestGroup, witness: Witness, random: Seeded, instanceId: string | null) {
    this.#t = t
    this.#witness = witness
    this.#random = random
    this.instanceId = instanceId
  }

  get who(): string {
    return this.instanceId ?? this.#memberId
  }

  sleep(ms: number): void {
    this.#asleepUntilMs = this.#t.sim.clock.monotonicMs() + ms
  }

  leave(): void {
    if (!this.dead) this.#t.group.leave([{ memberId: this.#memberId, instanceId: this.instanceId }])
    this.dead = true
  }

  /** Called every second: what a client would do next. */
  step(): void {
    if (this.dead || this.#waits || this.#t.sim.clock.monotonicMs() < this.#asleepUntilMs) return
    if (!this.stable) return this.#join()
    const speaker = { memberId: this.#memberId, instanceId: this.instanceId, generation: this.#generation }
    const commits = this.#random.chance(0.3)
    const code = commits ? this.#t.group.mayCommit(speaker) : this.#t.group.heartbeat(speaker)
    if (code === undefined)
      equal(this.#generation, this.#witness.latest, 'nobody is heard in an older generation')
    else this.#told(code)
  }

  #join(): void {
    this.#waits = true
    const asked: Asked = {
      memberId: this.#memberId,
      instanceId: this.instanceId,
      idFirst: this.#random.chance(0.7),
      maySkipAssignment: this.#random.chance(0.5),
      sessionTimeoutMs: sessionMs,
      rebalanceTimeoutMs: rebalanceMs,
      protocols: [{ name: 'a', metadata: Buffer.from(this.instanceId ?? '') }],
    }
    this.#request(asked, answer => {
      if (answer.refused !== undefined) {
        if (answer.refused === 'MEMBER_ID_REQUIRED') this.#memberId = answer.memberId
        else this.#told(answer.refused)
        return
      }
      this.#witness.joined(answer)
      this.#memberId = answer.memberId
      this.#generation = answer.generation
      if (this.careless && this.#random.chance(0.05)) this.sleep(3 * rebalanceMs)
      else this.#sync(answer)
    })
  }

  #request(asked: Asked, then: (answer: JoinAnswer) => void): void {
    const heard = this.#t.join(asked)
    const said = heard.say.bind(heard)
    const answered = (answer: JoinAnswer): void => {
      this.#waits = false
      if (!this.dead) then(answer)
    }
    if (heard.answer !== undefined) answered(heard.answer)
    else
      heard.say = answer => {
        said(answer)
        answered(answer)
      }
  }

  #sync({ memberId, generation, members, leader, skipAssignment }: Joined): void {
    this.#waits = true
    const leads = leader === memberId && !skipAssignment
    const shares = leads
      ? members.map(one => [one.memberId, `${generation} ${one.instanceId ?? one.memberId}`])
      : []
    const request = {
      memberId,
      instanceId: this.instanceId,
      generation,
      protocolType: null,
      protocol: null,
      assignments: new Map(shares.map(([id = '', share = '']) => [id, Buffer.from(share)])),
    }
    this.#t.group.sync(request, (answer: SyncAnswer) => {
      this.#waits = false
      if (this.dead) return
      if (answer.refused !== undefined) return this.#told(answer.refused)
      this.#witness.shared(generation, this.who, answer.assignment.toString())
      this.stable = true
    })
  }

  #told(code: RefusalCode): void {
    this.stable = false
    if (code === 'UNKNOWN_MEMBER_ID') this.#memberId = ''
    else if (code === 'FENCED_INSTANCE_ID') this.dead = true
    else equal(['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'NOT_COORDINATOR'].includes(code), true, code)
  }
}

export class GroupHistory {
  readonly t: TestGroup
  readonly witness = new Witness()
  readonly random: Seeded
  clients: Client[] = []
  /** Whether writes fail now and then. */
  troubled = true

  constructor(seed: number) {
    this.t = new TestGroup({ seed })
    this.random = this.t.sim.random
    const { clock } = this.t.sim.world
    this.t.around.keep = (_id, _stored, done) => {
      const refused = this.troubled && this.random.chance(0.05) ? 'NOT_COORDINATOR' : undefined
      clock.after(this.random.between(0, 300), () => done(refused))
    }
  }

  disturb(): void {
    const { random } = this
    const living = this.clients.filter(client => !client.dead)
    const one = living[random.below(living.length)]
    const what = random.below(12)
    if (what < 4 && living.length < 8) {
      const instanceId = random.chance(0.4) ? `i${random.below(3)}` : null
      this.clients.push(new Client(this.t, this.witness, random.fork(), instanceId))
    } else if (what < 6 && one !== undefined) one.dead = true
    else if (what < 7 && one !== undefined) one.sleep(random.below(3 * sessionMs))
    else if (what < 8) one?.leave()
  }

  async run(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      if (this.troubled && this.random.chance(0.5)) this.disturb()
      for (const client of this.clients) client.step()
      await this.t.pass(heartbeatMs)
    }
  }

  /** Nothing disturbs any more: those who live share the work, and nobody else does. */
  async settle(): Promise<void> {
    this.troubled = false
    for (const client of this.clients) client.careless = false
    await this.run(90)
    const living = this.clients.filter(client => !client.dead)
    equal(this.t.group.state, living.length === 0 ? 'Empty' : 'Stable')
    equal(
      living.every(client => client.stable),
      true,
    )
    equal(this.t.group.members.size, living.length)
  }
}
