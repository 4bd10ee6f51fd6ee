/**
 * Who syncs when: one fdatasync a tablet and a few a disk are under way at a time, first come first served. Whoever asks meanwhile shares the next
 * one, so a lone write pays for one fdatasync and a thousand together pay for a few. There is no timer.
 */
export type Synced = {
  /** Whether anybody may wait for it; nobody does for a copy that is not in sync. */
  readonly isAwaited: boolean
  /** Syncs what is written now. Handles its own errors: never rejects. */
  sync(): Promise<void>
}

/** The pool has four threads; one stays free for reads. */
const underWayMax = 3
/** Of them for what nobody waits for: what somebody waits for finds a place at once. */
const unawaitedMax = 2

export class GroupCommit {
  readonly #waiting = new Set<Synced>()
  readonly #underWay = new Set<Synced>()

  /** After this call a sync of `who` begins and covers everything written until now. */
  request(who: Synced): void {
    this.#waiting.add(who)
    if (this.#underWay.size < underWayMax) this.#start()
  }

  #start(): void {
    let unawaited = [...this.#underWay].filter(({ isAwaited }) => !isAwaited).length
    for (const who of this.#waiting) {
      if (this.#underWay.size >= underWayMax) return
      if (this.#underWay.has(who)) continue
      if (!who.isAwaited && unawaited++ >= unawaitedMax) continue
      this.#waiting.delete(who)
      this.#underWay.add(who)
      void this.#run(who)
    }
  }

  async #run(who: Synced): Promise<void> {
    await who.sync()
    this.#underWay.delete(who)
    this.#start()
  }
}

/** The process has too many files open: nothing was asked of the disk. */
export const isOutOfDescriptors = (error: unknown): boolean =>
  ['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '')
