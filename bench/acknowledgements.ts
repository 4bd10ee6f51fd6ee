/** When acknowledgements came, for the longest pause between two. */
export class Acknowledgements {
  #atMs: number[] = []

  note(): void {
    this.#atMs.push(Date.now())
    if (this.#atMs.length > 200_000) this.#atMs = this.#atMs.slice(100_000)
  }

  /** The longest time without one that ended after `sinceMs`; undefined before one has come that late. */
  pauseSince(sinceMs: number): number | undefined {
    let longest: number | undefined
    for (let i = this.#atMs.length - 1; i > 0; i--) {
      const [before = 0, at = 0] = [this.#atMs[i - 1], this.#atMs[i]]
      if (at < sinceMs) break
      longest = Math.max(longest ?? 0, at - before)
    }
    return longest
  }
}
