/** How often sets in sync of tablets that this broker leads became smaller and larger, and how often it began to lead, by what the control store tells. */
import type { BrokerId } from '../../base/quantities.ts'
import type { ControlEvent } from '../../control/store.ts'

export class IsrChanges {
  shrinks = 0
  expands = 0
  /** How often this broker has begun to lead one, or to lead it in a new epoch. */
  elections = 0
  readonly #self: BrokerId

  constructor(self: BrokerId) {
    this.#self = self
  }

  seen(event: ControlEvent): void {
    if (event.kind !== 'topic-changed') return
    for (const [n, now] of event.topic.tablets.entries()) {
      const before = event.before.tablets[n]
      if (before === undefined || before === now || now.leader !== this.#self) continue
      if (now.epoch > before.epoch) this.elections++
      if (now.isr.length < before.isr.length) this.shrinks++
      if (now.isr.length > before.isr.length) this.expands++
    }
  }
}
