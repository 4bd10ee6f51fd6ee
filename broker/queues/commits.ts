/** Commits of one group: as many windows as have moved go into one, and one is under way at a time. */
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import type { Speaker } from '../groups/group-messages.ts'
import type { Router } from '../router/router.ts'
import type { Window } from './window.ts'

export type CommitsOptions = {
  readonly group: string
  readonly clock: Clock
  readonly router: Router
  /** Those whose base is not committed. */
  readonly moved: () => Iterable<Window>
  /** Whom to commit as; undefined while nobody can. */
  readonly speaker: () => Speaker | undefined
}

export class Commits {
  readonly #options: CommitsOptions
  #running: Promise<RefusalCode | undefined> | undefined
  #next: Promise<RefusalCode | undefined> | undefined
  #settled = Promise.withResolvers<void>()

  constructor(options: CommitsOptions) {
    this.#options = options
  }

  /** Who speaks has changed, or windows were closed: commits that wait for that try again. */
  again(): void {
    this.#settled.resolve()
    this.#settled = Promise.withResolvers<void>()
  }

  /** Resolves when what every window has as its base by now is durable, or with why it is not. */
  commit(): Promise<RefusalCode | undefined> {
    // Those that come while one is under way share the next.
    if (this.#running !== undefined) this.#next ??= this.#running.then(() => this.#begin())
    return this.#next ?? this.#begin()
  }

  #begin(): Promise<RefusalCode | undefined> {
    this.#next = undefined
    const running = this.#commitAll().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #commitAll(): Promise<RefusalCode | undefined> {
    for (;;) {
      const moved = [...this.#options.moved()]
      if (moved.length === 0) return undefined
      const { promise } = this.#settled
      const refused = await this.#commitOnce(moved)
      if (refused === undefined || !betweenGenerations.has(refused)) return refused
      await promise
    }
  }

  async #commitOnce(moved: readonly Window[]): Promise<RefusalCode | undefined> {
    const { group, clock, router, speaker } = this.#options
    const who = speaker()
    if (who === undefined) return 'REBALANCE_IN_PROGRESS'
    const commitTimestamp = clock.nowMs()
    const commits = moved.map(window => ({
      topic: window.topic,
      partition: window.partition,
      value: { offset: window.base, leaderEpoch: -1, metadata: '', commitTimestamp, expireTimestamp: -1 },
    }))
    try {
      const refused = await router.groups.of(group).commit(group, who, commits)
      if (refused !== undefined) return refused
    } catch (error) {
      if (error instanceof Refusal) return error.code
      throw error
    }
    for (const [index, window] of moved.entries())
      window.durable = commits[index]?.value.offset ?? window.durable
    return undefined
  }
}

/** The group shares its work out: soon it is known whether the windows are still ours. */
const betweenGenerations = new Set<RefusalCode>([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
])
