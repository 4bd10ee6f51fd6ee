// Enters: what one broker asks of another, and the answer. Leaves: Kafka's Fetch, version 17, as frames.
// Always holds: the bytes are Kafka's own (topic ids, replica id and epoch) but for tags from 1000 on; a replica's epoch is the incarnation of its broker.
import { assert } from '../../base/assert.ts'
import { encodeRequest, endFrame, beginResponse } from '../kafka/frame.ts'
import { MalformedRequest } from '../kafka/malformed.ts'
import { Reader } from '../kafka/reader.ts'
import { api, array, int16, int32, int64, int8, records, string, struct, uuid } from '../kafka/schema.ts'
import type { Read, RequestOf, ResponseOf } from '../kafka/schema.ts'
import { Writer } from '../kafka/writer.ts'

/** Tags from here on are ours. Who does not know one passes it over, so a question may stay without an answer. */
export const ownTags = 1000

/** Offsets [from, to) of a tablet that follows in `epoch`. */
const stretch = { topicId: uuid, partition: int32, epoch: int32, from: int64, to: int64 }

const noDirectory = 'AAAAAAAAAAAAAAAAAAAAAA'

export const replicaFetch = api({
  key: 1,
  name: 'Fetch',
  versions: '17-17',
  flexible: '12+',
  request: {
    clusterId: string.nullable(12).default(null).tagged(0, 12),
    replicaState: struct({ replicaId: int32.default(-1), replicaEpoch: int64.default(-1) }).tagged(1, 15),
    maxWaitMs: int32,
    minBytes: int32,
    maxBytes: int32.default(0x7fffffff),
    isolationLevel: int8.default(0),
    sessionId: int32,
    sessionEpoch: int32.default(-1),
    topics: array({
      topicId: uuid,
      partitions: array({
        partition: int32,
        currentLeaderEpoch: int32.default(-1),
        fetchOffset: int64,
        lastFetchedEpoch: int32.default(-1),
        logStartOffset: int64.default(-1),
        partitionMaxBytes: int32,
        replicaDirectoryId: uuid.default(noDirectory).tagged(0, 17),
      }),
    }),
    forgottenTopicsData: array({ topicId: uuid, partitions: array(int32) }),
    rackId: string.default(''),
    /** What the follower wants to know a digest of; one at most. */
    comparing: array(stretch).tagged(ownTags, 17),
  },
  response: {
    throttleTimeMs: int32.default(0),
    errorCode: int16.default(0),
    sessionId: int32.default(0),
    responses: array({
      topicId: uuid,
      partitions: array({
        partitionIndex: int32,
        errorCode: int16,
        highWatermark: int64,
        lastStableOffset: int64.default(-1),
        logStartOffset: int64.default(-1),
        divergingEpoch: struct({ epoch: int32.default(-1), endOffset: int64.default(-1) }).tagged(0, 12),
        currentLeader: struct({ leaderId: int32.default(-1), leaderEpoch: int32.default(-1) }).tagged(1, 12),
        snapshotId: struct({ endOffset: int64.default(-1), epoch: int32.default(-1) }).tagged(2, 12),
        abortedTransactions: array({ producerId: int64, firstOffset: int64 }).nullable(4),
        preferredReadReplica: int32.default(-1),
        records: records.nullable(),
      }),
    }),
    nodeEndpoints: array({
      nodeId: int32,
      host: string,
      port: int32,
      rack: string.nullable(16).default(null),
    }).tagged(0, 16),
    /** What was asked for some requests ago, with what the leader has there (broker/log/stretches.ts); '' when it cannot tell. */
    compared: array({ ...stretch, digest: string }).tagged(ownTags, 17),
  },
})

const version = 17
/** Memory for frames in pieces is kept up to this size (no answer is larger unless one batch is), and while there are such frames now and then. */
const keptBytesMax = 12 * 1024 * 1024
const wholeFramesMax = 64

export type ReplicaFetchRequest = RequestOf<typeof replicaFetch>
export type AskedStretch = ReplicaFetchRequest['comparing'][number]
export type ComparedStretch = ReplicaFetchResponse['compared'][number]
export type ReplicaFetchResponse = Read<(typeof replicaFetch)['response']>
export type WrittenRequest = Parameters<(typeof replicaFetch)['encodeRequest']>[2]

/** A request as one frame with its length. */
export function fetchFrame(correlationId: number, body: WrittenRequest): Buffer {
  const writer = new Writer(4096)
  encodeRequest(writer, replicaFetch, { version, correlationId, clientId: null, body })
  return writer.take()
}

/**
 * Reads a request: a frame without its length.
 * @throws MalformedRequest, also for anything that is no Fetch of this version
 */
export function readFetch(frame: Buffer): {
  readonly correlationId: number
  readonly body: ReplicaFetchRequest
} {
  const reader = new Reader(frame)
  const [key, asked] = [reader.int16(), reader.int16()]
  if (key !== replicaFetch.key || asked !== version) {
    throw new MalformedRequest(`API ${key} in version ${asked} is not spoken between brokers`, 0)
  }
  const correlationId = reader.int32()
  const length = reader.stringLength(false)
  if (length > 0) reader.skip(length)
  reader.skipTags()
  return { correlationId, body: replicaFetch.decodeRequest(reader, version) }
}

type Written = ResponseOf<typeof replicaFetch>['responses'][number]['partitions'][number]
/** One partition of an answer; `pieces` are its batches, `bytes` together. */
export type FetchPart = Omit<Written, 'records' | 'abortedTransactions'> & {
  readonly topicId: string
  readonly pieces: readonly Buffer[]
  readonly bytes: number
}

/** A response as the pieces of one frame; the batches are not copied. */
export function fetchAnswer(
  correlationId: number,
  whole: {
    readonly errorCode: number
    readonly sessionId: number
    readonly compared?: ComparedStretch | undefined
  },
  parts: readonly FetchPart[],
): Buffer[] {
  const writer = new Writer(4096)
  const pieces: Buffer[] = []
  let length = 0
  const push = (piece: Buffer): void => {
    pieces.push(piece)
    length += piece.length
  }
  const begin = beginResponse(writer, replicaFetch, version, correlationId)
  writer.int32(0)
  writer.int16(whole.errorCode)
  writer.int32(whole.sessionId)
  const topics = Map.groupBy(parts, part => part.topicId)
  writer.count(topics.size, true)
  for (const [topicId, of] of topics) {
    writer.uuid(topicId)
    writer.count(of.length, true)
    for (const part of of) {
      writePartition(writer, part)
      if (part.bytes > 0) {
        push(writer.take())
        for (const piece of part.pieces) push(piece)
      }
      writeTags(writer, part)
    }
    writer.uvarint(0)
  }
  writeCompared(writer, whole.compared)
  if (pieces.length === 0) {
    endFrame(writer, begin)
    return [writer.take()]
  }
  push(writer.take())
  pieces[0]?.writeInt32BE(length - 4, 0)
  return pieces
}

function writePartition(writer: Writer, part: FetchPart): void {
  assert(
    part.bytes === part.pieces.reduce((sum, piece) => sum + piece.length, 0),
    'the pieces are as long as was said',
  )
  writer.int32(part.partitionIndex)
  writer.int16(part.errorCode)
  writer.int64(part.highWatermark)
  writer.int64(part.lastStableOffset ?? -1)
  writer.int64(part.logStartOffset ?? -1)
  writer.count(0, true)
  writer.int32(-1)
  writer.count(part.bytes, true)
}

function writeTags(writer: Writer, { divergingEpoch, currentLeader }: FetchPart): void {
  writer.uvarint((divergingEpoch === undefined ? 0 : 1) + (currentLeader === undefined ? 0 : 1))
  if (divergingEpoch !== undefined) {
    writer.uvarint(0)
    writer.uvarint(13)
    writer.int32(divergingEpoch.epoch ?? -1)
    writer.int64(divergingEpoch.endOffset ?? -1)
    writer.uvarint(0)
  }
  if (currentLeader !== undefined) {
    writer.uvarint(1)
    writer.uvarint(9)
    writer.int32(currentLeader.leaderId ?? -1)
    writer.int32(currentLeader.leaderEpoch ?? -1)
    writer.uvarint(0)
  }
}

function writeCompared(writer: Writer, compared: ComparedStretch | undefined): void {
  writer.uvarint(compared === undefined ? 0 : 1)
  if (compared === undefined) return
  const content = new Writer(128)
  content.count(1, true)
  content.uuid(compared.topicId)
  content.int32(compared.partition)
  content.int32(compared.epoch)
  content.int64(compared.from)
  content.int64(compared.to)
  content.string(compared.digest, true)
  content.uvarint(0)
  writer.uvarint(ownTags)
  writer.uvarint(content.length)
  writer.bytes(content.take())
}

const none = Buffer.alloc(0)

/**
 * Puts frames together from a stream of bytes. A frame that comes in pieces is gathered in memory that the next one gets, too: who copies gigabytes would otherwise be kept
 * busy with giving them back.
 */
export class FrameStream {
  readonly #bytesMax: number
  #gathered: Buffer = none
  #bytes = 0
  /** Frames since the last one that came in pieces. */
  #whole = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /**
   * Takes in what has come; answers the frames that are whole now, without their lengths, one after the other: each is valid until the next is asked for.
   * @throws MalformedRequest for a length that no frame has
   */
  *push(bytes: Buffer): Generator<Buffer, void> {
    let at = 0
    while (at < bytes.length) {
      if (this.#bytes === 0 && bytes.length - at >= 4) {
        const end = at + 4 + this.#lengthIn(bytes, at)
        if (end <= bytes.length) {
          yield bytes.subarray(at + 4, end)
          at = end
          if (++this.#whole > wholeFramesMax) this.#gathered = none
          continue
        }
      }
      // The length first, and then what it says.
      const wanted = this.#bytes < 4 ? 4 : 4 + this.#lengthIn(this.#gathered, 0)
      const taken = Math.min(wanted - this.#bytes, bytes.length - at)
      this.#reserve(wanted)
      bytes.copy(this.#gathered, this.#bytes, at, at + taken)
      at += taken
      this.#bytes += taken
      if (this.#bytes < 4 || this.#bytes < 4 + this.#lengthIn(this.#gathered, 0)) continue
      const frame = this.#gathered.subarray(4, this.#bytes)
      this.#bytes = this.#whole = 0
      yield frame
      if (this.#gathered.length > keptBytesMax) this.#gathered = none
    }
  }

  #lengthIn(bytes: Buffer, at: number): number {
    const length = bytes.readInt32BE(at)
    if (length < 0 || length > this.#bytesMax) throw new MalformedRequest(`a frame of ${length} bytes`, 0)
    return length
  }

  /** Makes room for `wanted` bytes; what is there stays. */
  #reserve(wanted: number): void {
    if (wanted <= this.#gathered.length) return
    const larger = Buffer.allocUnsafeSlow(wanted)
    this.#gathered.copy(larger, 0, 0, this.#bytes)
    this.#gathered = larger
  }
}
