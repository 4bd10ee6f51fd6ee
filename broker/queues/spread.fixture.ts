import { brokerId, type BrokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { SimWorld } from '../../test/sim/world.ts'
import type { Router } from '../router/router.ts'
import type { Tablet } from '../tablet/tablet.ts'
import { batchesOf, endsOf } from './followed.ts'
import type { BatchesAsked, BatchesTold, EndsAsked, EndsTold, Leaders } from './source.ts'

type Id = 0 | 1

/**
 * One broker's tablets as two brokers have them: each partition of `t` is led by one of them, which the other hears of later, and asks over a network
 * that is slow, and loses what it is told to lose.
 */
export class Spread {
  readonly #sim: SimWorld
  readonly #router: Router
  readonly #isSpread: boolean
  /** Of `t`, who serves each partition; undefined while nobody does. */
  readonly #leaders: Map<number, Id | undefined>
  /** Who that is as far as each of them has heard. */
  readonly #known: readonly Map<number, Id | undefined>[]
  readonly #listeners: readonly [Set<(name: string) => void>, Set<(name: string) => void>]
  readonly #readers = new Set<() => void>()
  /** Of a hundred questions, so many are lost, or their answers. */
  lossPercent = 0
  /** Neither answers the other. */
  cut = false
  readonly asked = { ends: 0, batches: 0, lost: 0, moves: 0 }

  /** `before`: of an earlier run, whose leaders go on. */
  constructor(sim: SimWorld, router: Router, isSpread: boolean, before: Spread | undefined) {
    this.#sim = sim
    this.#router = router
    this.#isSpread = isSpread
    this.#leaders = new Map(before?.isSettled === true ? before.#leaders : [])
    this.#known = [new Map(this.#leaders), new Map(this.#leaders)]
    this.#listeners = [new Set(), new Set()]
    this.lossPercent = before?.lossPercent ?? 0
    this.asked = before?.asked ?? this.asked
  }

  get isSettled(): boolean {
    return [...this.#leaders.values()].every(leader => leader !== undefined)
  }

  routerOf(self: Id): Router {
    const real = this.#router
    const view = {
      self: brokerId(self),
      groups: real.groups,
      topics: () => real.topics(),
      find: (topic: string, partition: number) => this.#viewed(self, real.find(topic, partition)),
      leaderOf: (topic: string, partition: number) => {
        const known = real.leaderOf(topic, partition)
        if (!this.#isSpread) return self === 0 ? known : undefined
        if (known === undefined) return undefined
        const id = this.#leader(this.#known[self], partition)
        return id === undefined ? undefined : { id: brokerId(id), epoch: known.epoch }
      },
      watchTopics: (listener: (name: string) => void) => {
        this.#listeners[self].add(listener)
        const stop = real.watchTopics(listener)
        return () => {
          this.#listeners[self].delete(listener)
          stop()
        }
      },
    }
    return view as unknown as Router
  }

  /** How `self` asks the other one. */
  leadersFor(self: Id): Leaders {
    const { clock } = this.#sim.world
    const ask = async <T>(
      leader: BrokerId,
      what: 'ends' | 'batches',
      waitMs: number,
      act: () => Promise<T>,
    ) => {
      if (leader === self) throw new Error('nobody asks himself')
      this.asked[what] += 1
      const lateMs = waitMs + 3_000
      const late = Promise.withResolvers<T>()
      const timer = clock.after(lateMs, () => late.reject(new Refusal('REQUEST_TIMED_OUT', 'too late')))
      const there = async (): Promise<T> => {
        await this.#network()
        const answer = await act()
        await this.#network()
        return answer
      }
      try {
        return await Promise.race([there(), late.promise])
      } finally {
        timer.cancel()
      }
    }
    return {
      ends: (leader: BrokerId, asked: EndsAsked, signal: AbortSignal): Promise<EndsTold> => {
        const router = this.routerOf(leader as number as Id)
        const back = Promise.withResolvers<never>()
        signal.addEventListener('abort', () => back.reject(new Refusal('REQUEST_TIMED_OUT', 'taken back')))
        const answer = ask(leader, 'ends', asked.waitMs, () => endsOf({ router, clock }, asked, signal))
        return Promise.race([answer, back.promise])
      },
      batches: (leader: BrokerId, asked: BatchesAsked): Promise<BatchesTold> => {
        const router = this.routerOf(leader as number as Id)
        return ask(leader, 'batches', 0, () => batchesOf(router, asked))
      },
    }
  }

  /** Another leads the partition, after nobody did for a while; each hears of it in its own time. */
  move(partition: number, to: Id, nobodyMs: number, heardMs: readonly [number, number]): void {
    const { clock } = this.#sim.world
    this.asked.moves += 1
    this.#set(partition, undefined)
    clock.after(nobodyMs, () => {
      this.#set(partition, to)
      for (const self of [0, 1] as const) {
        clock.after(heardMs[self], () => {
          this.#known[self]?.set(partition, to)
          for (const listener of this.#listeners[self]) listener('t')
        })
      }
    })
  }

  leaderOf(partition: number): Id | undefined {
    return this.#leader(this.#leaders, partition)
  }

  #set(partition: number, leader: Id | undefined): void {
    this.#leaders.set(partition, leader)
    for (const reader of this.#readers) reader()
  }

  #leader(leaders: ReadonlyMap<number, Id | undefined> | undefined, partition: number): Id | undefined {
    return leaders?.has(partition) === true ? leaders.get(partition) : partition % 2 === 0 ? 0 : 1
  }

  async #network(): Promise<void> {
    const { clock } = this.#sim.world
    await new Promise<void>(resolve => clock.after(this.#sim.random.below(30), resolve))
    if (!this.cut && this.#sim.random.below(100) >= this.lossPercent) return
    this.asked.lost += 1
    if (this.#sim.random.below(2) === 0) throw new Refusal('LEADER_NOT_AVAILABLE', 'lost')
    await new Promise<never>(() => undefined)
  }

  /** The tablet as `self` has it; undefined when the other leads it. */
  #viewed(self: Id, tablet: Tablet | undefined): Tablet | undefined {
    if (tablet?.topic !== 't' || !this.#isSpread) return tablet
    const leads = (): boolean => this.leaderOf(tablet.partition) === self
    if (!leads()) return undefined
    const readers = this.#readers
    return new Proxy(tablet, {
      get: (_, name) => {
        if (name === 'serves') return leads() && tablet.serves
        if (name === 'read')
          return (...asked: Parameters<Tablet['read']>) => {
            if (!leads()) throw new Refusal('NOT_LEADER_OR_FOLLOWER', 'the other one leads')
            return tablet.read(...asked)
          }
        if (name === 'onReadable')
          return (listener: () => void) => {
            readers.add(listener)
            const stop = tablet.onReadable(listener)
            return () => {
              readers.delete(listener)
              stop()
            }
          }
        const value: unknown = Reflect.get(tablet, name, tablet)
        return typeof value === 'function' ? value.bind(tablet) : value
      },
    })
  }
}
