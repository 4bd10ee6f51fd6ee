/** Says once to everything that waits or streams that the door is closing. */
export class Stopping {
  readonly #acts = new Set<() => void>()
  #begun = false

  get begun(): boolean {
    return this.#begun
  }

  /** Calls `act` when stopping begins, at once when it has. Answers how to forget it. */
  whenBegun(act: () => void): () => void {
    if (this.#begun) {
      act()
      return () => {}
    }
    this.#acts.add(act)
    return () => this.#acts.delete(act)
  }

  begin(): void {
    this.#begun = true
    const acts = [...this.#acts]
    this.#acts.clear()
    for (const act of acts) act()
  }
}
