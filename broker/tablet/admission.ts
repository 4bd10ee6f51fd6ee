/** What a topic takes: batches that are sound, small enough and of the right time. */
import { Refusal, type RefusalCode } from '../../base/refusals.ts'
import { MalformedRecords } from '../../protocol/kafka/malformed.ts'
import {
  baseTimestampOf,
  checkProduced,
  isTransactional,
  maxTimestampOf,
} from '../../protocol/kafka/record-batch.ts'
import { walkRecords } from '../../protocol/kafka/record-walk.ts'
import type { TopicSettings } from '../settings/resolve.ts'

/**
 * A batch of a compacted topic is unpacked on the event loop, which takes up to ten milliseconds a megabyte. Clients bound their batches before
 * they pack them, by about what a topic takes packed.
 */
const unpackedShareMax = 4

/** Why `topic` does not take the batch at bytes[start, end), or undefined. */
export function refuseBatch(
  topic: string,
  settings: TopicSettings,
  bytes: Buffer,
  start: number,
  end: number,
  nowMs: number,
): Refusal | undefined {
  const { maxMessageBytes, segmentBytes, messageTimestampType, cleanupPolicy } = settings
  const size = end - start
  if (size > maxMessageBytes) {
    return new Refusal(
      'MESSAGE_TOO_LARGE',
      `a batch of ${size} bytes is larger than max.message.bytes (${maxMessageBytes}) of ${topic}`,
    )
  }
  if (size > segmentBytes) {
    return new Refusal(
      'RECORD_LIST_TOO_LARGE',
      `a batch of ${size} bytes is larger than segment.bytes (${segmentBytes}) of ${topic}`,
    )
  }
  const wrong = checkProduced(bytes, start, end)
  if (wrong !== undefined) return new Refusal(wrong, complaints[wrong] ?? 'the batch is not sound')
  if (isTransactional(bytes, start)) return new Refusal('INVALID_RECORD', 'Stele has no transactions yet')
  const refused =
    messageTimestampType === 'CreateTime' ? refuseTimestamps(topic, settings, bytes, start, nowMs) : undefined
  return refused ?? (cleanupPolicy.has('compact') ? refuseKeys(topic, settings, bytes, start) : undefined)
}

/** A compacted topic keeps records by their keys: only there are records looked at, and all of them must be readable and have one. */
function refuseKeys(
  topic: string,
  { maxMessageBytes }: TopicSettings,
  bytes: Buffer,
  start: number,
): Refusal | undefined {
  try {
    const walk = walkRecords(bytes, start, unpackedShareMax * maxMessageBytes)
    while (walk.next()) {
      if (walk.keyBytes < 0) {
        const which = `record ${walk.offsetDelta} of the batch has no key`
        return new Refusal('INVALID_RECORD', `${which}, and ${topic} is compacted: every record needs one`)
      }
    }
    return undefined
  } catch (error) {
    if (!(error instanceof MalformedRecords)) throw error
    return new Refusal('INVALID_RECORD', `the records of the batch cannot be read: ${error.reason}`)
  }
}

function refuseTimestamps(
  topic: string,
  { messageTimestampBeforeMaxMs, messageTimestampAfterMaxMs }: TopicSettings,
  bytes: Buffer,
  start: number,
  nowMs: number,
): Refusal | undefined {
  const base = baseTimestampOf(bytes, start)
  const max = maxTimestampOf(bytes, start)
  if (base < 0 && max < 0) return undefined
  if (max - nowMs <= messageTimestampAfterMaxMs && nowMs - base <= messageTimestampBeforeMaxMs)
    return undefined
  return new Refusal(
    'INVALID_TIMESTAMP',
    `the batch has timestamps from ${base} to ${max}, which ${topic} does not allow now (${nowMs})`,
  )
}

const complaints: Partial<Record<RefusalCode, string>> = {
  CORRUPT_MESSAGE: 'the batch is torn or its CRC does not match',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'the batch is of an older format: only magic 2 is taken',
  INVALID_RECORD:
    'the records must be exactly one batch whose count matches its offsets, without control records',
  UNSUPPORTED_COMPRESSION_TYPE: 'the batch names a codec that does not exist',
}
