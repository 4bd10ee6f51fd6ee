// Enters: the name of a primitive type. Leaves: how it is read and written, and what it is where a version does not have it.
// Always holds: lengths are checked by the reader before anything is reserved; null is only where the version allows it.
import { assert } from '../../base/assert.ts'
import type { Reader } from './reader.ts'
import type { Primitive } from './schema.ts'
import type { Writer } from './writer.ts'

export type Codec = {
  readonly read: (reader: Reader) => unknown
  readonly write: (writer: Writer, value: unknown) => void
  /** The fewest bytes that a value can take. */
  readonly bytesMin: number
}

const noBytes = Buffer.alloc(0)

export const zeros: Record<Primitive, unknown> = {
  int8: 0,
  int16: 0,
  uint16: 0,
  int32: 0,
  uint32: 0,
  int64: 0,
  float64: 0,
  bool: false,
  string: '',
  uuid: 'AAAAAAAAAAAAAAAAAAAAAA',
  bytes: noBytes,
  records: noBytes,
}

export const primitives: Record<Primitive, (compact: boolean, nullable: boolean) => Codec> = {
  int8: fixed(
    1,
    r => r.int8(),
    (w, v: number) => w.int8(v),
  ),
  int16: fixed(
    2,
    r => r.int16(),
    (w, v: number) => w.int16(v),
  ),
  uint16: fixed(
    2,
    r => r.uint16(),
    (w, v: number) => w.uint16(v),
  ),
  int32: fixed(
    4,
    r => r.int32(),
    (w, v: number) => w.int32(v),
  ),
  uint32: fixed(
    4,
    r => r.uint32(),
    (w, v: number) => w.uint32(v),
  ),
  int64: fixed(
    8,
    r => r.int64(),
    (w, v: number) => w.int64(v),
  ),
  float64: fixed(
    8,
    r => r.float64(),
    (w, v: number) => w.float64(v),
  ),
  bool: fixed(
    1,
    r => r.bool(),
    (w, v: boolean) => w.bool(v),
  ),
  uuid: fixed(
    16,
    r => r.uuid(),
    (w, v: string) => w.uuid(v),
  ),
  string: stringCodec,
  bytes: bytesCodec,
  records: bytesCodec,
}

function fixed<T>(bytesMin: number, read: (r: Reader) => T, write: (w: Writer, value: T) => void) {
  return (_compact: boolean, nullable: boolean): Codec => {
    assert(!nullable, 'this type can be null')
    return { bytesMin, read, write: (writer, value) => write(writer, notNull(value) as T) }
  }
}

export function refuseNull(reader: Reader, nullable: boolean): null {
  return nullable ? null : reader.fail('null where the version has none')
}

export function nullLength(nullable: boolean): -1 {
  assert(nullable, 'the field is not null in this version')
  return -1
}

function notNull(value: unknown): unknown {
  assert(value !== null, 'the field is not null in this version')
  return value
}

function stringCodec(compact: boolean, nullable: boolean): Codec {
  return {
    bytesMin: compact ? 1 : 2,
    read(reader) {
      const length = reader.stringLength(compact)
      return length < 0 ? refuseNull(reader, nullable) : reader.text(length)
    },
    write(writer, value) {
      if (value === null) writer.stringLength(nullLength(nullable), compact)
      else writer.string(value as string, compact)
    },
  }
}

function bytesCodec(compact: boolean, nullable: boolean): Codec {
  return {
    bytesMin: compact ? 1 : 4,
    read(reader) {
      const length = reader.bytesLength(compact)
      return length < 0 ? refuseNull(reader, nullable) : reader.view(length)
    },
    write(writer, value) {
      if (value === null) return writer.count(nullLength(nullable), compact)
      const content = value as Buffer
      writer.count(content.length, compact)
      writer.bytes(content)
    },
  }
}
