/**
 * Compaction of the tablets of this broker, one at a time, the dirtiest first. In come tablets, out goes work for the cleaner; while nothing is due the
 * cleaner holds no memory.
 */
import type { Logger } from 'pino'
import { InvariantViolation } from '../../base/assert.ts'
import type { World } from '../../base/world.ts'
import type { Cleaner } from '../log/compaction/cleaner.ts'
import type { PassLimits } from '../log/compaction/compaction.ts'
import type { Tablet } from './tablet.ts'

export type CompactionsOptions = {
  readonly world: World
  readonly log: Logger
  readonly cleaner: Cleaner
  readonly tablets: { all(): Iterable<Tablet> }
  readonly limits: PassLimits
  /** How long to wait when nothing is due. */
  readonly backoffMs: number
}

/** So many tablets are looked at in one turn of the event loop. */
const tabletsPerTurn = 50

export class Compactions {
  readonly #options: CompactionsOptions
  #stopped = false
  #round: Promise<void> = Promise.resolve()
  #resting = true

  constructor(options: CompactionsOptions) {
    this.#options = options
  }

  /** Looks again and again until `stop`. */
  start(): void {
    const { world, backoffMs } = this.#options
    world.clock.after(backoffMs, () => {
      if (this.#stopped) return
      this.#round = this.round().then(() => this.start())
    })
  }

  /** What is under way comes to a point where it can be left. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (!this.#resting) await this.#options.cleaner.end()
    await this.#round
  }

  /** Compacts until nothing is due any more. A tablet whose compaction fails is left alone until the next round. */
  async round(): Promise<void> {
    const failed = new Set<Tablet>()
    while (!this.#stopped) {
      const tablet = await this.#dirtiest(failed)
      if (tablet === undefined || this.#stopped) break
      this.#resting = false
      if (!(await this.#compact(tablet))) failed.add(tablet)
    }
    if (!this.#resting) await this.#options.cleaner.end()
    this.#resting = true
  }

  async #dirtiest(failed: ReadonlySet<Tablet>): Promise<Tablet | undefined> {
    const { world, tablets } = this.#options
    let dirtiest: { readonly tablet: Tablet; readonly due: number } | undefined
    let looked = 0
    for (const tablet of tablets.all()) {
      if (failed.has(tablet) || !tablet.settings.cleanupPolicy.has('compact')) continue
      if (++looked % tabletsPerTurn === 0) await new Promise<void>(turned => world.clock.endOfTurn(turned))
      const due = await this.#try(tablet, async () => tablet.keeping?.compactionDue())
      if (due !== undefined && due > (dirtiest?.due ?? -1)) dirtiest = { tablet, due }
    }
    return dirtiest?.tablet
  }

  async #compact(tablet: Tablet): Promise<boolean> {
    const { cleaner, limits } = this.#options
    const done = await this.#try(tablet, async () => tablet.keeping?.compact(cleaner, limits))
    return done === true
  }

  /** Undefined when it failed: one tablet's trouble is not that of the others. */
  async #try<Result>(tablet: Tablet, act: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await act()
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      const { topic, partition } = tablet
      if (tablet.isOpen && !this.#stopped)
        this.#options.log.warn({ topic, partition, error }, 'compaction failed; it is tried again')
      return undefined
    }
  }
}
