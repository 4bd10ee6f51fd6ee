import type { Clock } from '../../base/world.ts'
import type { Fault } from '../judge/fault.ts'
import { targetOf, type Step } from '../plan/step.ts'

/** So often something is put back at once; from then on somebody else wants it otherwise each time. */
const patience = 3
const firstMs = 1_000
const mostMs = 300_000
/** A fight is over when nothing had to be put back for so long beyond the wait. */
const calmMs = 60_000

type Fight = { readonly target: string; readonly times: number; readonly lastMs: number }

/** Objects that are edited again as soon as the operator has put them back, by LogCluster: they are put back ever more rarely. */
export class Fights {
  readonly #clock: Clock
  readonly #byCluster = new Map<string, Map<string, Fight>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether it is time for the step. */
  mayTake(key: string, step: Step): boolean {
    const fight = putsBack(step) ? this.#of(key).get(targetOf(step)) : undefined
    return fight === undefined || this.#clock.monotonicMs() >= fight.lastMs + waitMs(fight)
  }

  took(key: string, steps: readonly Step[]): void {
    const lastMs = this.#clock.monotonicMs()
    for (const target of steps.filter(putsBack).map(targetOf)) {
      const fights = this.#of(key)
      const times = (fights.get(target)?.times ?? 0) + 1
      this.#byCluster.set(key, fights.set(target, { target, times, lastMs }))
    }
  }

  faultsOf(key: string): Fault[] {
    return [...this.#of(key).values()]
      .filter(({ times }) => times >= patience)
      .map(({ target }) => ({
        reason: 'Contested',
        message: `${target}: whenever the operator has put it back, something else changes it again: find out what does, as a webhook or another controller, and exempt it there`,
      }))
  }

  /** Milliseconds until something may be put back that had to wait; undefined where nothing has to. */
  nextMs(key: string): number | undefined {
    const nowMs = this.#clock.monotonicMs()
    const waits = [...this.#of(key).values()].map(fight => fight.lastMs + waitMs(fight) - nowMs)
    const left = waits.filter(ms => ms > 0)
    return left.length === 0 ? undefined : Math.min(...left)
  }

  /** Those that go on. */
  #of(key: string): Map<string, Fight> {
    const fights = this.#byCluster.get(key) ?? new Map<string, Fight>()
    const nowMs = this.#clock.monotonicMs()
    for (const fight of fights.values())
      if (nowMs > fight.lastMs + waitMs(fight) + calmMs) fights.delete(fight.target)
    if (fights.size === 0) this.#byCluster.delete(key)
    return fights
  }
}

const putsBack = (step: Step): boolean => step.putsBack === true

const waitMs = ({ times }: Fight): number =>
  times < patience ? 0 : Math.min(mostMs, firstMs * 2 ** Math.min(times - patience, 30))
