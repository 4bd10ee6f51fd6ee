import { assert } from '../../../base/assert.ts'

/**
 * As much memory as something may take over all connections. Who finds it used up waits in line; a wish larger than the
 * whole budget is served when nobody else has anything.
 */
export class Budget {
  readonly #bytesMax: () => number
  #taken = 0
  readonly #waiting: { bytes: number; go: () => void }[] = []

  constructor(bytesMax: () => number) {
    this.#bytesMax = bytesMax
  }

  /** Takes `bytes` when nobody has to wait for them; the answer gives them back, once. */
  tryTake(bytes: number): (() => void) | undefined {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return undefined
    this.#taken += bytes
    return this.#giveBack(bytes)
  }

  /** Resolves when `bytes` were taken; the answer gives them back, once. */
  async take(bytes: number): Promise<() => void> {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) {
      await new Promise<void>(go => this.#waiting.push({ bytes, go }))
    } else {
      this.#taken += bytes
    }
    return this.#giveBack(bytes)
  }

  #giveBack(bytes: number): () => void {
    let held = true
    return () => {
      assert(held, 'memory is given back once')
      held = false
      this.#taken -= bytes
      this.#serve()
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#bytesMax()
  }

  #serve(): void {
    for (;;) {
      const [first] = this.#waiting
      if (first === undefined || !this.#fits(first.bytes)) return
      this.#waiting.shift()
      this.#taken += first.bytes
      first.go()
    }
  }
}
