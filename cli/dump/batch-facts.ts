import * as batch from '../../protocol/kafka/record-batch.ts'

/** What the header of a batch says, as `--json` prints it. Offsets, milliseconds since 1970, bytes. */
export type BatchFacts = ReturnType<typeof factsOf>

export function factsOf(position: number, bytes: Buffer) {
  return {
    position,
    bytes: bytes.length,
    base_offset: batch.baseOffsetOf(bytes, 0),
    last_offset: batch.lastOffsetOf(bytes, 0),
    count: batch.countOf(bytes, 0),
    codec: batch.codecOf(bytes, 0) ?? 'unknown',
    timestamp_type: batch.isLogAppendTime(bytes, 0) ? 'LogAppendTime' : 'CreateTime',
    base_timestamp: batch.baseTimestampOf(bytes, 0),
    max_timestamp: batch.maxTimestampOf(bytes, 0),
    leader_epoch: batch.leaderEpochOf(bytes, 0),
    producer_id: batch.producerIdOf(bytes, 0),
    producer_epoch: batch.producerEpochOf(bytes, 0),
    base_sequence: batch.baseSequenceOf(bytes, 0),
    transactional: batch.isTransactional(bytes, 0),
    control: batch.isControl(bytes, 0),
    crc: batch.crcOf(bytes, 0),
  }
}

/** The same as one line for people; what is at its default is left out. */
export function factsLine(facts: BatchFacts): string {
  const { base_offset: first, last_offset: last, producer_id: producer } = facts
  const words = [
    `@${facts.position}`,
    `offsets ${first}..${last}`,
    `count ${facts.count}`,
    `bytes ${facts.bytes}`,
    `codec ${facts.codec}`,
    `${facts.timestamp_type} ${times(facts.base_timestamp, facts.max_timestamp)}`,
    `epoch ${facts.leader_epoch}`,
  ]
  if (producer >= 0) {
    const lastSequence = (facts.base_sequence + last - first) % 2 ** 31
    words.push(
      `producer ${producer}/${facts.producer_epoch} sequence ${facts.base_sequence}..${lastSequence}`,
    )
  }
  if (facts.transactional) words.push('transactional')
  if (facts.control) words.push('control')
  words.push(`crc ${facts.crc.toString(16).padStart(8, '0')}`)
  return words.join('  ')
}

const times = (from: number, to: number): string => (from === to ? time(from) : `${time(from)}..${time(to)}`)

/** ISO 8601, or the number itself where no calendar reaches. */
export function time(ms: number): string {
  const date = new Date(ms)
  return ms < 0 || Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}
