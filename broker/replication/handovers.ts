/**
 * Leaderships that go to others on purpose. In come led tablets and who is to lead them next; a few slices are under way at once, so that each tablet takes no
 * appends for as short a time as one change takes. One that comes to nothing is led on here.
 */
import type { BrokerId } from '../../base/quantities.ts'
import type { Clock } from '../../base/world.ts'
import { sliceTablets } from '../../control/model.ts'
import { keyOf, type Led, type TabletKey } from './replica.ts'

/** So long nobody can append to a tablet; then it is led on, and tried again after the same time. */
const pauseMsMax = 500
/** Nobody waits for a broker that stays. */
const slicesMax = { leaving: 16, staying: 4 }

type UnderWay = { readonly led: Led; readonly to: BrokerId; readonly sinceMs: number }
type Failed = { readonly times: number; readonly atMs: number }

export class Handovers {
  readonly #clock: Clock
  readonly #underWay = new Map<string, UnderWay>()
  readonly #slices = new Map<string, number>()
  readonly #failed = new Map<string, Failed>()
  readonly #done: () => void

  /** `done` is called for each that came to its end. */
  constructor(clock: Clock, done: () => void) {
    this.#clock = clock
    this.#done = done
  }

  /** Hands it to one of `successors`, another one after each try that came to nothing. Answers false when it is not its turn yet. */
  begin(led: Led, successors: readonly BrokerId[], leaves: boolean): boolean {
    const key = keyOf(led)
    const nowMs = this.#clock.monotonicMs()
    const failed = this.#failed.get(key)
    const slice = sliceOf(led)
    const most = leaves ? slicesMax.leaving : slicesMax.staying
    const inSlice = this.#slices.get(slice)
    if (this.#underWay.has(key) || (inSlice === undefined && this.#slices.size >= most)) return false
    if (failed !== undefined && nowMs - failed.atMs < pauseMsMax) return false
    const to = successors[(failed?.times ?? 0) % successors.length]
    if (to === undefined) return false
    this.#underWay.set(key, { led, to, sinceMs: nowMs })
    this.#slices.set(slice, (inSlice ?? 0) + 1)
    led.handOver(to, leaves)
    return true
  }

  /** To whom the tablet is being handed over, or was a moment ago. */
  handedTo(key: string): BrokerId | undefined {
    return this.#underWay.get(key)?.to
  }

  /** To be called now and then. */
  look(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [key, { led, sinceMs }] of this.#underWay) {
      led.review()
      if (nowMs - sinceMs >= pauseMsMax) led.keep()
      if (led.handingTo !== undefined) continue
      this.#end(key, led)
      if (nowMs - sinceMs < pauseMsMax) {
        this.#done()
        this.#failed.delete(key)
      } else this.#failed.set(key, { times: (this.#failed.get(key)?.times ?? 0) + 1, atMs: nowMs })
    }
    for (const [key, { atMs }] of this.#failed) if (nowMs - atMs > 10 * pauseMsMax) this.#failed.delete(key)
  }

  #end(key: string, led: Led): void {
    this.#underWay.delete(key)
    const slice = sliceOf(led)
    const left = (this.#slices.get(slice) ?? 1) - 1
    if (left === 0) this.#slices.delete(slice)
    else this.#slices.set(slice, left)
  }
}

const sliceOf = ({ topicId, partition }: TabletKey): string =>
  `${topicId}/${Math.floor(partition / sliceTablets)}`
