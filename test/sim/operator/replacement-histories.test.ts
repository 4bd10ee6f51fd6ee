/** Nodes and volumes that are lost at random, beside all else that happens: no claim goes that should have stayed, and in the end every broker is there with all that was not lost. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
import { tabletSlices, type SliceTablet } from '../../../control/kubernetes/resources/tablet-slice.ts'
import { isMoving } from '../../../control/moves.ts'
import { nodes, persistentVolumeClaims, persistentVolumes, pods } from '../../../kube/resources.ts'
import type { Call, Fault } from '../kube.ts'
import { namespace, Operated } from './operated.ts'

const act = fc.oneof(
  fc.record({ kind: fc.constant('lose node' as const), at: fc.nat(4) }),
  fc.record({ kind: fc.constant('lose node' as const), at: fc.nat(4) }),
  fc.record({ kind: fc.constant('lose volume' as const), at: fc.nat(4) }),
  fc.record({ kind: fc.constant('silence node' as const), at: fc.nat(4) }),
  fc.record({ kind: fc.constant('brokers' as const), count: fc.integer({ min: 2, max: 5 }) }),
  fc.record({
    kind: fc.constant('replication' as const),
    at: fc.nat(2),
    copies: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ kind: fc.constant('delete pod' as const), at: fc.nat(4) }),
  fc.record({ kind: fc.constant('give up' as const), at: fc.nat(4) }),
  fc.constant({ kind: 'calm' as const }),
  fc.constant({ kind: 'calm' as const }),
  fc.constant({ kind: 'kill' as const }),
  fc.constant({ kind: 'faults' as const }),
)
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

/** What was lost a moment ago the operator cannot know yet. */
const newsMs = 2_000

class History {
  readonly all: Operated
  readonly wrongs: string[] = []
  #faultsUntilMs = 0
  #lostAtMs = -Infinity

  constructor(seed: number) {
    this.all = new Operated(seed, ['a', 'b', 'c', 'd', 'e'])
    const { all } = this
    all.kubelets.hasLocalVolumes = true
    all.kubelets.replicates = true
    all.kube.eventDelayMsMax = 300
    all.kube.onCall = call => {
      this.#sees(call)
      if (all.clock.monotonicMs() >= this.#faultsUntilMs || all.random.chance(0.7)) return undefined
      return all.random.pick<Fault>([
        { code: 500 },
        { lost: 'before', afterMs: 500 },
        { lost: 'after', afterMs: 500 },
      ])
    }
  }

  /** Of each claim that the operator deletes: whether it may. */
  #sees({ client, verb, plural, name }: Call): void {
    if (client !== 'operator' || verb !== 'delete' || plural !== 'persistentvolumeclaims') return
    const { kube, kubelets, clock } = this.all
    const claim = kube.peek(persistentVolumeClaims, { namespace, name })
    if (claim === undefined || claim.metadata.annotations?.[annotations.replaceVolume] !== undefined) return
    if (kubelets.holds({ namespace, name }, Infinity)) this.wrongs.push(`${name} went with its data`)
    if (clock.monotonicMs() - this.#lostAtMs < newsMs) return
    const id = Number(name.split('-').at(-1))
    for (const { topic, tablets } of kube.peekAll(tabletSlices)) {
      for (const [at, { replicas, isr }] of tablets.entries()) {
        const hasIt = isr.some(
          ({ broker, incarnation }) =>
            broker !== id && kubelets.holds({ namespace, name: `events-broker-${broker}` }, incarnation),
        )
        if (replicas.includes(id) && !hasIt)
          this.wrongs.push(`${name} had the last copy of ${topic.name}-${at}`)
      }
    }
  }

  perform(done: Act): void {
    const { kube, kubelets, random } = this.all
    const usable = kube.peekAll(nodes).map(({ metadata }) => metadata.name)
    switch (done.kind) {
      case 'lose node': {
        const name = usable[done.at]
        if (name === undefined || usable.length <= 2) break
        this.#lostAtMs = this.all.clock.monotonicMs()
        kube.set(nodes, { namespace: '', name }, () => undefined)
        break
      }
      case 'lose volume': {
        const volume = kube.peekAll(persistentVolumes)[done.at]
        if (volume === undefined) break
        this.#lostAtMs = this.all.clock.monotonicMs()
        kube.set(persistentVolumes, { namespace: '', name: volume.metadata.name }, () => undefined)
        const pod = kube.peek(pods, { namespace, name: `${volume.spec?.claimRef?.name}-0` })
        if (pod !== undefined && pod.metadata.deletionTimestamp === undefined) kubelets.deletePod(pod)
        break
      }
      case 'silence node':
        kubelets.silentNodes.add(usable[done.at] ?? '')
        break
      case 'calm':
        kubelets.silentNodes.clear()
        break
      case 'brokers':
        this.all.cluster({ brokers: done.count })
        break
      case 'replication':
        this.all.topic(`topic-${done.at}`, { replication: done.copies })
        break
      case 'delete pod': {
        const pod = kube.peekAll(pods)[done.at]
        if (pod !== undefined && pod.metadata.deletionTimestamp === undefined) kubelets.deletePod(pod)
        break
      }
      case 'give up':
        this.giveUp(done.at, random.chance(0.5) ? 'true' : 'with-last-copies')
        break
      case 'kill':
        this.all.kill()
        this.all.start()
        break
      case 'faults':
        this.#faultsUntilMs = this.all.clock.monotonicMs() + 20_000
    }
  }

  giveUp(id: number, word: string): void {
    const key = { namespace, name: `events-broker-${id}` }
    this.all.kube.set(
      persistentVolumeClaims,
      key,
      now =>
        now && {
          ...now,
          metadata: {
            ...now.metadata,
            annotations: { ...now.metadata.annotations, [annotations.replaceVolume]: word },
          },
        },
    )
  }

  /** The owner reads the conditions, and does what they say. */
  async end(): Promise<void> {
    const { all } = this
    this.#faultsUntilMs = 0
    all.kubelets.silentNodes.clear()
    // With fewer a lost one may be too many, and is not replaced.
    all.cluster({ brokers: 5 })
    await all.clock.runFor(90_000)
    for (let round = 0; round < 30 && !this.isWell(); round += 1) {
      await all.clock.runFor(60_000)
      for (const [, id] of (all.condition('Degraded')?.message ?? '').matchAll(
        /events-broker-(\d+) stele\.dev\/replace-volume=/g,
      ))
        this.giveUp(Number(id), 'with-last-copies')
    }
    await all.quiet()
  }

  /** All brokers are there, and nothing goes on but moves of what was given up, which nobody can end. */
  isWell(): boolean {
    const { all } = this
    const moving = all.kube.peekAll(tabletSlices).flatMap(({ tablets }) => tablets.filter(isMoving))
    return (
      all.ready >= (all.clusterNow()?.spec.brokers ?? 0) &&
      (all.isSettled() || (moving.length > 0 && moving.every(tablet => !this.isServed(tablet))))
    )
  }

  isServed({ isr, leader }: SliceTablet): boolean {
    const leads = isr.find(({ broker }) => broker === leader)
    const key = { namespace, name: `events-broker-${leader}` }
    return leads !== undefined && this.all.kubelets.holds(key, leads.incarnation)
  }
}

async function history(seed: number, acts: readonly (readonly [Act, number])[]): Promise<void> {
  const lived = new History(seed)
  const { all } = lived
  all.cluster({ brokers: 4, replaceAfter: '30s' })
  all.start()
  await all.converged()
  for (const at of [0, 1, 2]) all.topic(`topic-${at}`, { tablets: 4, replication: at + 1 })
  await all.converged()
  for (const [done, pauseMs] of acts) {
    lived.perform(done)
    await all.clock.runFor(pauseMs)
  }
  await lived.end()
  expect(lived.wrongs).toEqual([])
  expect(lived.isWell(), JSON.stringify(all.clusterNow()?.status?.conditions)).toBe(true)
  // Whoever has a valid copy has it with all who should.
  for (const { tablets } of all.kube.peekAll(tabletSlices))
    for (const tablet of tablets)
      if (lived.isServed(tablet)) expect(tablet.isr).toHaveLength(tablet.replicas.length)
  const before = all.writes.length
  await all.clock.runFor(130_000)
  expect(all.writes.slice(before)).toEqual([])
}

test('nodes and volumes may be lost at any time', async () => {
  const pause = fc.constantFrom(0, 1_000, 10_000, 35_000, 60_000)
  await fc.assert(
    fc.asyncProperty(
      fc.nat(1_000_000),
      fc.array(fc.tuple(act, pause), { minLength: 2, maxLength: 14 }),
      history,
    ),
    // The same ones every time, and others by STELE_SEED.
    {
      seed: Number(process.env['STELE_SEED'] ?? 1),
      numRuns: Number(process.env['STELE_HISTORIES'] ?? 2),
      endOnFailure: true,
    },
  )
}, 300_000)
