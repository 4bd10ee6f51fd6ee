import { pino } from 'pino'
import type { RefusalCode } from '../../base/refusals.ts'
import { offsetsTopic } from '../../control/model.ts'
import { buildBatch } from '../../protocol/kafka/records.ts'
import { append, groupsLoaded, startSimBroker, type SimBroker } from '../../test/sim/broker.ts'
import { simWorld, type SimWorld } from '../../test/sim/world.ts'
import type { Tablet } from '../tablet/tablet.ts'
import type { OffsetCommit } from './coordinator.ts'
import type { JoinAnswer, Joined, JoinRequest, Speaker } from './group-messages.ts'
import type { Groups } from './groups.ts'

export const nobody: Speaker = { memberId: '', instanceId: null, generation: -1 }

/** The groups of a broker on the simulated world, with a topic `t` of four partitions to commit for. */
export class SimGroups {
  readonly sim: SimWorld
  readonly lines: { readonly level: number; readonly msg: string; readonly [field: string]: unknown }[] = []
  broker!: SimBroker
  groups!: Groups
  readonly #settings: Record<string, string>

  private constructor(seed: number, settings: Record<string, string>) {
    this.sim = simWorld({ seed })
    this.#settings = {
      'offsets.topic.num.partitions': '2',
      'group.initial.rebalance.delay.ms': '0',
      ...settings,
    }
  }

  static async start({ seed = 1, settings = {} }: { seed?: number; settings?: Record<string, string> } = {}) {
    const all = new SimGroups(seed, settings)
    await all.boot()
    await all.makeTopic('t', 4)
    await all.done(all.groups.ensureTopic())
    await all.loaded()
    return all
  }

  /** The next process, on what the last one left. */
  async boot(): Promise<void> {
    const log = pino({ level: 'info' }, { write: (line: string) => void this.lines.push(JSON.parse(line)) })
    this.broker = await this.done(startSimBroker(this.sim, this.#settings, { log }))
    this.groups = this.broker.router.groups
  }

  /** For the next process. */
  setting(name: string, value: string): void {
    this.#settings[name] = value
  }

  /** Ends the process without a word, and starts the next. */
  async restart(how: 'kill' | 'crash' | 'stop' = 'kill'): Promise<void> {
    if (how === 'stop') await this.done(this.broker.stop())
    else this.sim[how]()
    await this.boot()
    await this.loaded()
  }

  loaded(): Promise<void> {
    return groupsLoaded(this.sim, this.broker)
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.sim.clock.finish(promise)
  }

  async makeTopic(name: string, tablets: number): Promise<void> {
    await this.done(this.broker.store.createTopics([{ name, settings: {}, tablets, replication: 1 }]))
    await this.done(this.broker.tablets.settled())
  }

  async deleteTopic(name: string): Promise<void> {
    const { id = '' } = this.broker.store.topics().get(name) ?? {}
    await this.done(this.broker.store.deleteTopic(name, id))
  }

  /** Begins a commit; `offsets` are partitions of `t` with their offsets. */
  committing(group: string, offsets: Record<number, number>, speaker = nobody, topic = 't') {
    const commits: OffsetCommit[] = Object.entries(offsets).map(([partition, offset]) => ({
      topic,
      partition: Number(partition),
      value: {
        offset,
        leaderEpoch: 0,
        metadata: '',
        commitTimestamp: this.sim.clock.nowMs(),
        expireTimestamp: -1,
      },
    }))
    return this.groups.of(group).commit(group, speaker, commits)
  }

  commit(...commit: Parameters<SimGroups['committing']>): Promise<RefusalCode | undefined> {
    return this.done(this.committing(...commit))
  }

  /** What the group has committed, as `topic-partition: offset`. */
  committed(group: string): Record<string, number> {
    const offsets = this.groups.of(group).find(group)?.offsets ?? []
    return Object.fromEntries(
      [...offsets].map(({ topic, partition, value }) => [`${topic}-${partition}`, value.offset]),
    )
  }

  /** A member that is alone in its group, with its share. */
  async member(group: string, asked: Partial<JoinRequest> = {}): Promise<Joined> {
    const joined = await this.joined(group, asked)
    const { memberId, generation } = joined
    await this.done(
      this.groups.of(group).sync(group, {
        memberId,
        generation,
        instanceId: null,
        protocolType: null,
        protocol: null,
        assignments: new Map([[memberId, Buffer.from('all')]]),
      }),
    )
    return joined
  }

  /** The same before it has asked for its share. */
  async joined(group: string, asked: Partial<JoinRequest> = {}): Promise<Joined> {
    const joining = this.groups.of(group).join(group, {
      memberId: '',
      instanceId: null,
      clientId: 'c',
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('00000000000100017400000000', 'hex') }],
      idFirst: false,
      maySkipAssignment: false,
      ...asked,
    })
    const joined: JoinAnswer = await this.done(joining)
    if (joined.refused !== undefined) throw new Error(joined.refused)
    return joined
  }

  /** The tablet that the group's records lie in. */
  tabletOf(group: string): Tablet {
    const tablet = this.broker.tablets.find(offsetsTopic, this.groups.partitionOf(group) ?? -1)
    if (tablet === undefined) throw new Error('there is no tablet')
    return tablet
  }

  /** Writes a record past the coordinator. */
  async smuggle(group: string, key: Buffer | null, value: Buffer | null): Promise<void> {
    const batch = buildBatch([{ key, value, headers: [], timestamp: this.sim.clock.nowMs() }])
    await this.done(append(this.tabletOf(group), batch, -1))
  }
}
