/** A random history of groups whose coordinators move: members at work while brokers are killed, cut off, and hand tablets of `__consumer_offsets` over. */
import { offsetsTopic, claimLeadership, type TabletAssignment } from '../../control/model.ts'
import * as changes from '../../control/embedded/changes.ts'
import { SimCluster, type SimNode } from './cluster.ts'
import { FailoverMember, GroupWitness, workPartitions, workTopic } from './failover-members.ts'

const groups = ['alpha', 'beta']
const membersEach = 3
const steps = 16

export class FailoverHistory {
  readonly cluster: SimCluster
  readonly witnesses = new Map<string, GroupWitness>()
  readonly #members: FailoverMember[] = []
  readonly deeds: string[] = []
  readonly done = new Map<string, number>()

  constructor(seed: number) {
    const settings = {
      'offsets.topic.num.partitions': '2',
      'offsets.topic.replication.factor': '3',
      'group.initial.rebalance.delay.ms': '0',
      'offsets.commit.timeout.ms': '1000',
      'min.insync.replicas': seed % 2 === 0 ? '1' : '2',
    }
    this.cluster = new SimCluster({ seed, brokers: 3, settings, lagMsMax: 600 })
  }

  /** Lives it to the end, and throws what went wrong. */
  async live(): Promise<void> {
    const { cluster } = this
    const { random } = cluster
    await cluster.startAll()
    await cluster.makeTopic(workTopic, {}, workPartitions)
    if (random.chance(0.4)) cluster.control.lostAnswers = 0.3
    if (random.chance(0.4)) cluster.shared.network.delayMs = { min: 1, max: random.between(5, 40) }
    for (const group of groups) {
      const witness = new GroupWitness()
      this.witnesses.set(group, witness)
      for (let n = 0; n < membersEach; n++) this.#begin(new FailoverMember(cluster, group, witness))
    }
    await cluster.run(1_500)
    for (let step = 0; step < steps; step++) {
      await this.#trouble()
      await cluster.run(random.between(50, 1_500))
    }
    await this.#end()
    const complaints = [...this.witnesses.values()].flatMap(witness => witness.complaints)
    if (complaints.length > 0) throw new Error(complaints.join('\n'))
  }

  #begin(member: FailoverMember): void {
    this.#members.push(member)
    member.run().catch((error: unknown) => this.cluster.failed(error))
  }

  #assignments(): readonly TabletAssignment[] {
    return this.cluster.control.state.topics.get(offsetsTopic)?.tablets ?? []
  }

  /** A broker that coordinates, if there is one. */
  #coordinator(partition: number): SimNode | undefined {
    const leader = this.#assignments()[partition]?.leader
    return this.cluster.nodes.find(({ id }) => id === leader)
  }

  async #trouble(): Promise<void> {
    const { cluster } = this
    const { random, shared, control, nodes } = cluster
    const partition = random.below(2)
    const node = this.#coordinator(partition) ?? random.pick(nodes as [SimNode, ...SimNode[]])
    const others = nodes.filter(one => one !== node)
    const deeds: Record<string, () => Promise<void> | void> = {
      'hand over': () => handOver(cluster, partition),
      'hand over again': async () => {
        handOver(cluster, partition)
        await cluster.run(random.between(0, 30))
        handOver(cluster, partition)
      },
      'restart a member': () => this.#members[random.below(this.#members.length)]?.restart(),
      start: () => nodes.forEach(one => one.runs || one.start()),
      kill: () => {
        node.kill()
        if (random.chance(0.7)) node.start()
      },
      power: () => {
        node.cutPower()
        if (random.chance(0.7)) node.start()
      },
      blackout: () => {
        for (const one of nodes) one.cutPower()
        for (const one of nodes) one.start()
      },
      'cut off': () => {
        for (const one of others) shared.network.cut(node.host, one.host)
        control.cutOff(node.id)
      },
      'cut off for a while': async () => {
        for (const one of others) shared.network.cut(node.host, one.host)
        control.cutOff(node.id)
        await cluster.run(random.between(500, 4_000))
        shared.network.heal()
        control.heal()
      },
      join: () => {
        shared.network.heal()
        control.heal()
      },
      pause: () => {
        if (node.runs) node.pause()
      },
      resume: () => nodes.forEach(one => one.paused && one.resume()),
      'slow disk': () => {
        node.sim.disk.syncMs = random.pick([
          { min: 0.05, max: 2 },
          { min: 5, max: 60 },
        ])
      },
      'no control': () => nodes.forEach(one => random.chance(0.7) && control.cutOff(one.id)),
      reset: () => shared.network.reset(node.host, random.pick(others as [SimNode, ...SimNode[]]).host),
    }
    const deed = random.pick(often)
    this.deeds.push(`${Math.round(cluster.clock.monotonicMs())} ${deed} ${node.host} ${partition}`)
    await deeds[deed]?.()
    this.done.set(deed, (this.done.get(deed) ?? 0) + 1)
  }

  /** Everything is mended: all members work again, on what was acknowledged. */
  async #end(): Promise<void> {
    const { cluster } = this
    const { control, shared, nodes } = cluster
    shared.network.heal()
    control.heal()
    control.lostAnswers = 0
    for (const node of nodes) {
      node.sim.disk.syncMs = { min: 0.05, max: 2 }
      if (node.paused) node.resume()
      if (!node.runs) node.start()
    }
    await cluster.until(() => nodes.every(({ runs }) => runs))
    await cluster.run(3_000)
    for (const member of this.#members) member.acknowledged = 0
    try {
      await cluster.until(() => this.#isAtWork(), 60_000)
    } catch (cause) {
      const state = this.#members.map(({ generation, share, acknowledged }) => ({
        generation,
        share,
        acknowledged,
      }))
      throw new Error(`they do not come together: ${JSON.stringify([state, this.#assignments()])}`, { cause })
    }
    for (const member of this.#members) member.stopped = true
    await cluster.run(2_000)
    for (const member of this.#members) await cluster.clock.finish(member.fetch())
  }

  #isAtWork(): boolean {
    return groups.every((_, g) => {
      const members = this.#members.slice(g * membersEach, (g + 1) * membersEach)
      const shares = members.flatMap(({ share }) => share ?? [])
      return (
        new Set(members.map(({ generation }) => generation)).size === 1 &&
        shares.length === workPartitions &&
        new Set(shares).size === workPartitions &&
        members.every(({ acknowledged }) => acknowledged > 2)
      )
    })
  }
}

/** Another replica in sync is to lead, as a broker that stops would have it. */
export function handOver({ control, random }: SimCluster, partition: number): void {
  const topic = control.state.topics.get(offsetsTopic)
  const now = topic?.tablets[partition]
  const heirs = now?.isr.filter(({ broker }) => broker !== now.leader) ?? []
  const heir = heirs[random.below(Math.max(1, heirs.length))]
  if (topic === undefined || now?.leader === undefined || heir === undefined) return
  const { test, tablet, to } = claimLeadership(partition, now, heir)
  // Who hands over stays in sync.
  const change = { tablet, test, to: { ...to, isr: now.isr } }
  control.apply(draft => changes.changeTablets(draft, topic.id, [change]))
}

const often: [string, ...string[]] = [
  'hand over',
  'hand over',
  'hand over',
  'hand over again',
  'restart a member',
  'restart a member',
  'restart a member',
  'restart a member',
  'kill',
  'kill',
  'kill',
  'power',
  'blackout',
  'cut off',
  'cut off for a while',
  'cut off for a while',
  'join',
  'join',
  'start',
  'start',
  'pause',
  'resume',
  'slow disk',
  'no control',
  'reset',
]
