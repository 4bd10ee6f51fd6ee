/**
 * Several brokers over one simulated API server, on simulated time: who leads is what the TabletSlices say. Always holds, whatever fails: in each epoch
 * of a tablet one broker at most has led, and what was acknowledged is in the log of the leader.
 */
import { expect, test } from 'vitest'
import { brokerId } from '../../base/quantities.ts'
import { logTopics, type LogTopic } from '../../control/kubernetes/resources/log-topic.ts'
import { annotations, apiVersion } from '../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../control/kubernetes/resources/tablet-slice.ts'
import { openKubernetesStore } from '../../control/kubernetes/store.ts'
import { batchOf } from '../../broker/log/log.fixture.ts'
import { append, startSimBroker, type SimBroker } from './broker.ts'
import { SimKube, type Fault, type SimClient } from './kube.ts'
import { quietLog, startPlacing } from './kube-placing.ts'
import { simWorld, type SimWorld } from './world.ts'

const cluster = 'events'
const namespace = 'default'
const ids = [0, 1, 2] as const

/** A machine of the cluster: its own disk and chance, everybody's time. */
type Machine = { sim: SimWorld; api: SimClient; broker: SimBroker | undefined }

class Cluster {
  readonly sim: SimWorld
  readonly kube: SimKube
  readonly machines: Machine[] = []
  /** By tablet and epoch, which run of which broker was seen to lead. */
  readonly leaders = new Map<string, Set<string>>()

  constructor(seed: number) {
    this.sim = simWorld({ seed })
    const { clock } = this.sim.world
    this.kube = new SimKube({ clock, random: this.sim.random.fork() })
    startPlacing(this.kube, { clock, cluster, namespace })
    for (const id of ids) {
      const sim = simWorld({ seed: seed * 10 + id, clock: this.sim.clock })
      this.machines.push({ sim, api: this.kube.client(clock, `broker-${id}`), broker: undefined })
    }
  }

  machine(id: number): Machine {
    const machine = this.machines[id]
    if (machine === undefined) throw new Error(`there is no machine ${id}`)
    return machine
  }

  async start(id: number): Promise<void> {
    const machine = this.machine(id)
    const { sim } = machine
    machine.api = this.kube.client(sim.world.clock, `broker-${id}`)
    const { api } = machine
    const world = sim.world
    machine.broker = await startSimBroker(
      sim,
      {},
      {
        id: brokerId(id),
        openStore: () =>
          openKubernetesStore({
            ...world,
            api,
            log: quietLog,
            cluster,
            namespace,
            pod: `events-broker-${id}-0`,
            lost: () => sim.kill(),
          }),
      },
    )
  }

  kill(id: number): void {
    const machine = this.machine(id)
    machine.sim.kill()
    machine.broker = undefined
  }

  look(): void {
    for (const [id, { broker }] of this.machines.entries()) {
      for (const { serves, partition, epoch } of broker?.tablets.all() ?? []) {
        if (!serves) continue
        const place = `${partition}@${epoch}`
        this.leaders.set(
          place,
          (this.leaders.get(place) ?? new Set()).add(`${id}/${broker?.router.incarnation}`),
        )
      }
    }
  }
}

const topic = (tablets: number): LogTopic => ({
  apiVersion,
  kind: 'LogTopic',
  metadata: {
    name: 't',
    namespace,
    annotations: {
      [annotations.assignment]: JSON.stringify(
        Array.from({ length: tablets }, (_, n) => [n % 3, (n + 1) % 3]),
      ),
    },
  },
  spec: { cluster, tablets, replication: 2, deletionPolicy: 'Delete' },
})

test.each([1, 2, 3, 4, 5, 6])('brokers come, go and lose the API server: seed %d', async seed => {
  const cluster = new Cluster(seed)
  const { sim, kube } = cluster
  const { clock, random } = sim
  await clock.finish(Promise.all(ids.map(id => cluster.start(id))))
  kube.set(logTopics, { namespace, name: 't' }, () => topic(6))
  await clock.runFor(1_000)
  const acknowledged = new Map<number, number>()
  const starting = new Set<Promise<void>>()
  kube.onCall = ({ verb }) =>
    verb === 'patch' && random.chance(0.2)
      ? random.pick<Fault>([{ code: 500 }, { code: 409 }, { lost: 'before' }, { lost: 'after' }])
      : undefined
  for (let step = 0; step < 60; step++) {
    const id = random.pick(ids)
    const machine = cluster.machine(id)
    const act = random.pick(['kill', 'cut', 'append', 'append', 'append', 'watches'] as const)
    if (act === 'kill' && machine.broker !== undefined) {
      cluster.kill(id)
      starting.add(cluster.start(id))
    } else if (act === 'cut') machine.api.connected = !machine.api.connected
    else if (act === 'watches') kube.cutWatches()
    else if (act === 'append') {
      const tablet = machine.broker?.tablets.find('t', random.below(6))
      if (tablet?.serves === true) {
        const { broker } = machine
        void append(tablet, batchOf({ timestamp: clock.nowMs() }), -1).then(answer => {
          if ('baseOffset' in answer && machine.broker === broker) {
            const end = acknowledged.get(tablet.partition) ?? 0
            acknowledged.set(tablet.partition, Math.max(end, answer.baseOffset + 1))
          }
        })
      }
    }
    await clock.runFor(random.between(0, 4_000))
    cluster.look()
  }
  kube.onCall = undefined
  for (const { api } of cluster.machines) api.connected = true
  await clock.finish(Promise.all(starting))
  const settled = () =>
    kube
      .peekAll(tabletSlices)
      .flatMap(({ tablets }) => tablets)
      .every(({ leader = -1, epoch }, partition) => {
        const tablet = cluster.machine(leader).broker?.tablets.find('t', partition)
        return tablet?.serves === true && tablet.epoch === epoch
      })
  await clock.runUntil(settled, 600_000)
  cluster.look()
  for (const [place, who] of cluster.leaders) expect(who.size, place).toBe(1)
  for (const [partition, end] of acknowledged) {
    const leading = cluster.machines.flatMap(({ broker }) => broker?.tablets.find('t', partition) ?? [])
    expect(Math.max(...leading.map(({ highWatermark }) => highWatermark))).toBeGreaterThanOrEqual(end)
  }
  expect(acknowledged.size).toBeGreaterThan(0)
})
