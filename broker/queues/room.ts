/** How many records may be remembered, over all windows. Each window may have a few more, so that none stops because of the others. */
export class Room {
  readonly #told: { readonly full: () => void; readonly freed: () => void }
  /** Below 0 when windows have what they may have in any case. */
  #left: number

  constructor(recordsMax: number, told: { readonly full: () => void; readonly freed: () => void }) {
    this.#left = recordsMax
    this.#told = told
  }

  get left(): number {
    return this.#left
  }

  take(): void {
    this.#left -= 1
    if (this.#left === 0) this.#told.full()
  }

  give(records: number): void {
    const wasFull = this.#left <= 0
    this.#left += records
    if (wasFull && this.#left > 0) this.#told.freed()
  }
}
