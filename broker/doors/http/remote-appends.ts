/**
 * Record batches on their way to tablets that other brokers lead. In come whole batches, as for a tablet here; out go their answers. Always holds: of one
 * request's batches for one tablet one is under way at a time, so that they stand there in their order.
 */
import { Refusal, type RefusalCode } from '../../../base/refusals.ts'
import type { Clock } from '../../../base/world.ts'
import type { Router } from '../../router/router.ts'
import type { Acks, Appending } from '../../tablet/appending.ts'
import type { Forwarding } from './forwarding.ts'

export const appendMsMax = 30_000

export type Appended = { readonly base_offset: number; readonly log_append_time: number }

/** Nothing was written then: who leads is not known here, or does not know it yet. */
const tryAgain: ReadonlySet<RefusalCode> = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'BROKER_STOPPING',
])
const againMs = 100
const againMsMax = 5_000

export type RemoteAppendsOptions = {
  readonly router: Router
  readonly clock: Clock
  readonly forwarding: Forwarding
  readonly topic: string
  readonly acks: Acks
}

export class RemoteAppends {
  readonly #options: RemoteAppendsOptions
  readonly #path: string
  /** By partition, the batch that is under way last. */
  readonly #last = new Map<number, Promise<void>>()

  constructor(options: RemoteAppendsOptions) {
    this.#options = options
    const { topic, acks } = options
    this.#path = `/v1/topics/${encodeURIComponent(topic)}/partitions/:partition/batches?acks=${acks}`
  }

  append(partition: number, batch: Buffer, appending: Appending, slot: number): void {
    const before = this.#last.get(partition) ?? Promise.resolve()
    const sent = before.then(() => this.#send(partition, batch, appending, slot))
    this.#last.set(partition, sent)
    sent.catch((error: unknown) => {
      // Nobody waits for it: a broken promise of our own code must stop the process as anywhere else.
      queueMicrotask(() => {
        throw error
      })
    })
  }

  async #send(partition: number, batch: Buffer, appending: Appending, slot: number): Promise<void> {
    const { clock } = this.#options
    const lastMs = clock.monotonicMs() + againMsMax
    for (;;) {
      try {
        return await this.#sendTo(partition, batch, appending, slot)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        if (!tryAgain.has(error.code) || clock.monotonicMs() >= lastMs) return appending.refused(slot, error)
      }
      await new Promise<void>(resolve => clock.after(againMs, resolve))
    }
  }

  async #sendTo(partition: number, batch: Buffer, appending: Appending, slot: number): Promise<void> {
    const { router, clock, forwarding, topic, acks } = this.#options
    const leader = router.leaderOf(topic, partition)?.id
    if (leader === undefined)
      throw new Refusal('LEADER_NOT_AVAILABLE', `Nobody leads partition ${partition} of ${topic} now`)
    if (leader === router.self) {
      const tablet = router.forClients(topic, partition)
      const deadlineMs = clock.monotonicMs() + appendMsMax
      return tablet.append(batch, 0, batch.length, acks, deadlineMs, appending, slot)
    }
    const path = this.#path.replace(':partition', String(partition))
    const { base_offset, log_append_time } = (await forwarding.ask(leader, 'POST', path, batch)) as Appended
    appending.appended(slot, base_offset, log_append_time, -1)
  }
}
