import { offset } from '../../../../base/quantities.ts'
import { Refusal } from '../../../../base/refusals.ts'
import type { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import type { FetchResponseWriter } from '../../../../protocol/kafka/fetch-response.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import type { Router } from '../../../router/router.ts'
import type { Batches } from '../../../log/read.ts'
import type { Tablet } from '../../../tablet/tablet.ts'
import { checkLeaderEpoch } from './leader-epoch.ts'

type Wanted = RequestOf<typeof fetch>['topics'][number]['partitions'][number]

type Leader = { readonly id: number; readonly epoch: number }

const unknown = -1
const noPieces: readonly Buffer[] = []

/** One partition of a fetch, and what was found in it. */
export class FetchPart {
  readonly bytesMax: number
  readonly #topic: string
  readonly #wanted: Wanted
  #tablet: Tablet | undefined
  #batches: Batches | undefined
  #errorCode = 0
  #leader: Leader | null = null
  #diverging: { readonly epoch: number; readonly endOffset: number } | null = null
  #highWatermark = unknown
  #logStart = unknown
  #seenBytes = 0

  constructor(topic: string, wanted: Wanted) {
    this.bytesMax = wanted.partitionMaxBytes
    this.#topic = topic
    this.#wanted = wanted
  }

  get topic(): string {
    return this.#topic
  }

  get partition(): number {
    return this.#wanted.partition
  }

  /** Nothing to wait for: the client has to hear of this. */
  get urgent(): boolean {
    return this.#errorCode !== 0 || this.#diverging !== null
  }

  /** Bytes that have become readable since `look`; more than any when the tablet does not serve any more. */
  get newBytes(): number {
    if (this.#tablet === undefined) return 0
    return this.#tablet.role === 'leader' ? this.#tablet.readableBytes - this.#seenBytes : Infinity
  }

  /** Finds the tablet as it is now. @throws Refusal */
  look(router: Router): void {
    const { partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch } = this.#wanted
    this.#tablet = undefined
    const tablet = router.leading(this.#topic, partition)
    checkLeaderEpoch(tablet, currentLeaderEpoch)
    this.#tablet = tablet
    this.#seenBytes = tablet.readableBytes
    this.#highWatermark = tablet.highWatermark
    this.#logStart = tablet.logStart
    if (lastFetchedEpoch >= 0) this.#compareEpochs(tablet, lastFetchedEpoch, fetchOffset)
  }

  /** @throws Refusal, or rejects with one */
  read(bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> | undefined {
    if (this.#tablet === undefined || this.urgent) return undefined
    return this.#tablet.read(offset(this.#wanted.fetchOffset), bytesMax, atLeastOne)
  }

  found(batches: Batches): void {
    this.#batches = batches
  }

  /** `leader` is who the client should ask instead. */
  failed(errorCode: number, leader: Leader | null): void {
    this.#errorCode = errorCode
    this.#leader = leader
    this.#highWatermark = unknown
    this.#logStart = unknown
  }

  release(): void {
    this.#batches?.release()
    this.#batches = undefined
  }

  onReadable(listener: () => void): (() => void) | undefined {
    return this.#tablet?.onReadable(listener)
  }

  write(writer: FetchResponseWriter): void {
    const batches = this.#batches
    writer.partition(
      this.#wanted.partition,
      this.#errorCode,
      this.#highWatermark,
      this.#highWatermark,
      this.#logStart,
      batches?.bytes ?? 0,
      batches?.pieces ?? noPieces,
      this.#diverging,
      this.#leader,
    )
  }

  /** A reader whose last epoch ended earlier here than it has read has records that are not ours (KIP-595). */
  #compareEpochs(tablet: Tablet, lastFetchedEpoch: number, fetchOffset: number): void {
    const end = tablet.endOfEpoch(lastFetchedEpoch)
    if (end.epoch < 0 || end.endOffset < 0) {
      throw new Refusal('OFFSET_OUT_OF_RANGE', `${this.#topic} knows nothing of epoch ${lastFetchedEpoch}`)
    }
    if (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) this.#diverging = end
  }
}
