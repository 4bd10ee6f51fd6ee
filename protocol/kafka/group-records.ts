// Enters: what a group's coordinator keeps. Leaves: keys and values of the records of `__consumer_offsets`, as Kafka writes
// them, so that its tools read ours and we read its; and back.
// Always holds: a key or value begins with the number of its layout; a layout we do not know is told apart from a damaged one.
//
//   key    0, 1 OffsetCommitKey | 2 GroupMetadataKey          a null value takes the key's record away
//   value  0-4 OffsetCommitValue | 0-4 GroupMetadataValue     we write 3, and 1 for an offset with its own expiry
import { compileStruct } from './codec.ts'
import type { Codec } from './primitives.ts'
import { Reader } from './reader.ts'
import { array, bytes, int32, int64, string, uuid, type Read, type Shape } from './schema.ts'
import { Writer } from './writer.ts'

export const offsetKeyShape = { group: string, topic: string, partition: int32 }
export const offsetValueShape = {
  offset: int64,
  leaderEpoch: int32.since(3).default(-1),
  metadata: string,
  commitTimestamp: int64,
  expireTimestamp: int64.since(1).until(1).default(-1),
  topicId: uuid.tagged(0, 4),
}
export const groupKeyShape = { group: string }
export const groupValueShape = {
  protocolType: string,
  generation: int32,
  protocol: string.nullable(),
  leader: string.nullable(),
  currentStateTimestamp: int64.since(2).default(-1),
  members: array({
    memberId: string,
    groupInstanceId: string.since(3).nullable(3).default(null),
    clientId: string,
    clientHost: string,
    rebalanceTimeout: int32.since(1).default(-1),
    sessionTimeout: int32,
    subscription: bytes,
    assignment: bytes,
  }),
}

/** A committed offset. Times are milliseconds since 1970; a leader epoch or an expiry of -1 is none. */
export type StoredOffset = Omit<Read<typeof offsetValueShape>, 'topicId'>
/** A group as it was when its last generation was complete, or when it became empty. */
export type StoredGroup = Read<typeof groupValueShape>

/** What one record says. */
export type GroupRecord =
  | {
      readonly kind: 'offset'
      readonly group: string
      readonly topic: string
      readonly partition: number
      readonly value: StoredOffset | null
    }
  | { readonly kind: 'group'; readonly group: string; readonly value: StoredGroup | null }

export type KeyAndValue = { readonly key: Buffer; readonly value: Buffer | null }

const offsetKeyLayouts = [0, 1]
const groupKeyLayout = 2
const valueLayoutMax = 4
const flexibleSince = 4
const layoutOfValues = 3
const layoutWithExpiry = 1

const codecs = (shape: Shape): Codec[] =>
  Array.from({ length: valueLayoutMax + 1 }, (_, n) => compileStruct(shape, n, n >= flexibleSince))

const offsetKey = compileStruct(offsetKeyShape, 0, false)
const groupKey = compileStruct(groupKeyShape, 0, false)
const offsetValues = codecs(offsetValueShape)
const groupValues = codecs(groupValueShape)

/** The record that keeps a committed offset, or takes it away when `value` is null. */
export const offsetRecord = (
  group: string,
  topic: string,
  partition: number,
  value: StoredOffset | null,
): KeyAndValue => ({
  key: written(1, offsetKey, { group, topic, partition }),
  value: value === null ? null : valueOf(offsetValues, value, value.expireTimestamp),
})

/** The record that keeps a group, or takes it away when `value` is null. */
export const groupRecord = (group: string, value: StoredGroup | null): KeyAndValue => ({
  key: written(groupKeyLayout, groupKey, { group }),
  value: value === null ? null : valueOf(groupValues, value, -1),
})

/**
 * What a record says, or undefined for one of a layout that is not ours (Kafka has others, for other kinds of groups).
 * Byte fields are views. Throws `MalformedRequest` for bytes that are not what their layout says.
 */
export function readGroupRecord(key: Buffer, value: Buffer | null): GroupRecord | undefined {
  const reader = new Reader(key)
  const layout = reader.int16()
  if (offsetKeyLayouts.includes(layout)) {
    const of = offsetKey.read(reader) as Read<typeof offsetKeyShape>
    const read = readValue(offsetValues, value) as StoredOffset | null | undefined
    return read === undefined ? undefined : { kind: 'offset', ...of, value: read }
  }
  if (layout !== groupKeyLayout) return undefined
  const { group } = groupKey.read(reader) as Read<typeof groupKeyShape>
  const read = readValue(groupValues, value) as StoredGroup | null | undefined
  return read === undefined ? undefined : { kind: 'group', group, value: read }
}

function readValue(layouts: readonly Codec[], value: Buffer | null): unknown {
  if (value === null) return null
  const reader = new Reader(value)
  return layouts[reader.int16()]?.read(reader)
}

function valueOf(layouts: readonly Codec[], value: object, expireTimestamp: number): Buffer {
  const layout = expireTimestamp < 0 ? layoutOfValues : layoutWithExpiry
  return written(layout, layouts[layout], value)
}

function written(layout: number, codec: Codec | undefined, value: object): Buffer {
  const writer = new Writer(256)
  writer.int16(layout)
  codec?.write(writer, value)
  return writer.take()
}
