/** Who was heard of, and until when the others may be silent. One timer a member: hearing of it mostly moves a number only. */
import type { Clock, Timer } from '../../base/world.ts'
import type { Member } from './members.ts'

type Watch = { timer: Timer; atMs: number; deadlineMs: number }

export class Sessions {
  readonly #clock: Clock
  readonly #silent: (member: Member) => void
  readonly #watches = new Map<Member, Watch>()

  /** `silent` is told of a member once nothing was heard of it for too long; then it is watched no more. */
  constructor(clock: Clock, silent: (member: Member) => void) {
    this.#clock = clock
    this.#silent = silent
  }

  /** The member lives; it has `withinMs` to be heard of again. */
  heard(member: Member, withinMs = member.sessionTimeoutMs): void {
    const deadlineMs = this.#clock.monotonicMs() + withinMs
    const watch = this.#watches.get(member)
    if (watch !== undefined && watch.atMs <= deadlineMs) {
      watch.deadlineMs = deadlineMs
      return
    }
    watch?.timer.cancel()
    this.#watch(member, deadlineMs, withinMs)
  }

  forget(member: Member): void {
    this.#watches.get(member)?.timer.cancel()
    this.#watches.delete(member)
  }

  #watch(member: Member, deadlineMs: number, forMs: number): void {
    const timer = this.#clock.after(forMs, () => {
      const watch = this.#watches.get(member)
      const restMs = (watch?.deadlineMs ?? 0) - this.#clock.monotonicMs()
      this.#watches.delete(member)
      if (watch !== undefined && restMs > 0) this.#watch(member, watch.deadlineMs, restMs)
      else this.#silent(member)
    })
    this.#watches.set(member, { timer, atMs: this.#clock.monotonicMs() + forMs, deadlineMs })
  }
}
