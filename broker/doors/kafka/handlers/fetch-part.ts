import { offset, type BrokerId } from '../../../../base/quantities.ts'
import { Refusal } from '../../../../base/refusals.ts'
import type { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import type { FetchResponseWriter } from '../../../../protocol/kafka/fetch-response.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import { nearest, type Asker } from '../../../router/nearest.ts'
import type { Router } from '../../../router/router.ts'
import type { Batches } from '../../../log/read.ts'
import type { Tablet } from '../../../tablet/tablet.ts'
import { codeOf } from './handler.ts'
import { checkLeaderEpoch } from './leader-epoch.ts'

type Wanted = RequestOf<typeof fetch>['topics'][number]['partitions'][number]

type Leader = { readonly id: number; readonly epoch: number }

const unknown = -1
/** From this version on clients go to another replica when they are told to. */
const followersSince = 11
const noPieces: readonly Buffer[] = []

/** One partition of a fetch, and what was found in it. */
export class FetchPart {
  readonly bytesMax: number
  readonly #topic: string
  readonly #wanted: Wanted
  readonly #asker: Asker & { readonly version: number }
  #tablet: Tablet | undefined
  /** What is read when the tablet follows here. */
  #copy: Tablet['copy']
  #epoch = unknown
  /** Who the client should read from instead of the leader. */
  #nearest: BrokerId | undefined
  #batches: Batches | undefined
  #errorCode = 0
  #leader: Leader | null = null
  #diverging: { readonly epoch: number; readonly endOffset: number } | null = null
  #highWatermark = unknown
  #logStart = unknown
  #seenBytes = 0

  constructor(topic: string, wanted: Wanted, asker: Asker & { readonly version: number }) {
    this.#asker = asker
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
    return this.#errorCode !== 0 || this.#diverging !== null || this.#nearest !== undefined
  }

  /** Bytes that came from a replica that follows. */
  get copiedBytes(): number {
    return this.#copy === undefined ? 0 : (this.#batches?.bytes ?? 0)
  }

  /** Bytes that have become readable since `look`; more than any when the tablet does not serve any more, or in another epoch. */
  get newBytes(): number {
    const tablet = this.#tablet
    if (tablet === undefined) return 0
    const copy = this.#copy
    const serves = copy === undefined ? tablet.role === 'leader' : tablet.copy === copy
    return serves && tablet.epoch === this.#epoch ? tablet.readableBytes - this.#seenBytes : Infinity
  }

  /** Finds the tablet as it is now. @throws Refusal */
  look(router: Router): void {
    const { partition, currentLeaderEpoch, fetchOffset, lastFetchedEpoch } = this.#wanted
    this.#tablet = undefined
    const mayFollow = this.#asker.version >= followersSince
    const tablet = mayFollow
      ? router.readable(this.#topic, partition)
      : router.leading(this.#topic, partition)
    checkLeaderEpoch(tablet, currentLeaderEpoch)
    this.#tablet = tablet
    this.#copy = tablet.copy
    this.#copy?.noteReader()
    this.#epoch = tablet.epoch
    this.#seenBytes = tablet.readableBytes
    this.#highWatermark = tablet.highWatermark
    this.#logStart = tablet.logStart
    if (lastFetchedEpoch >= 0) this.#compareEpochs(tablet, lastFetchedEpoch, fetchOffset)
    if (mayFollow && this.#copy === undefined && this.#diverging === null)
      this.#nearest = nearest(router, tablet, this.#asker, fetchOffset)
  }

  /** @throws Refusal, or rejects with one */
  read(bytesMax: number, atLeastOne: boolean): Batches | Promise<Batches> | undefined {
    if (this.#tablet === undefined || this.urgent) return undefined
    return (this.#copy ?? this.#tablet).read(offset(this.#wanted.fetchOffset), bytesMax, atLeastOne)
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

  /** There is no more time to wait: what lies beyond what this replica knows, its leader may have. */
  timeIsUp(): void {
    const tablet = this.#tablet
    if (this.#copy === undefined || this.urgent || tablet === undefined) return
    if (this.#wanted.fetchOffset > tablet.highWatermark) this.failed(codeOf('OFFSET_NOT_AVAILABLE'), null)
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
      this.#nearest,
    )
  }

  /** A reader whose last epoch ended earlier here than it has read has records that are not ours (KIP-595). */
  #compareEpochs(tablet: Tablet, lastFetchedEpoch: number, fetchOffset: number): void {
    const copy = this.#copy
    // It may lack what the reader has; below the high watermark all have the same.
    if (copy !== undefined && fetchOffset > tablet.highWatermark) return
    const end = (copy ?? tablet).endOfEpoch(lastFetchedEpoch)
    if (end.epoch < 0 || end.endOffset < 0) {
      const code = copy === undefined ? 'OFFSET_OUT_OF_RANGE' : 'OFFSET_NOT_AVAILABLE'
      throw new Refusal(code, `${this.#topic} knows nothing of epoch ${lastFetchedEpoch}`)
    }
    if (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) this.#diverging = end
  }
}
