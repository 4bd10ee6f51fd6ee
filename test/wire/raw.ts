/**
 * Kafka's wire by hand: what no well-behaved client would send, and what no client shows.
 *
 * In: bytes. Out: bytes. Nothing of Stele's own codec is used, so that a mistake there cannot hide itself here. Layouts are
 * those of Kafka's published message definitions; every request here is of a version before flexible fields.
 */
import { crc32c } from '@node-rs/crc32'
import { connect, type Socket } from 'node:net'

export const int8 = (n: number): Buffer => Buffer.from([n & 0xff])
export const int16 = (n: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(n)
  return bytes
}
export const int32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(n)
  return bytes
}
export const int64 = (n: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(n))
  return bytes
}
export const text = (s: string | null): Buffer =>
  s === null ? int16(-1) : Buffer.concat([int16(Buffer.byteLength(s)), Buffer.from(s)])
export const sized = (bytes: Buffer): Buffer => Buffer.concat([int32(bytes.length), bytes])
export const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts)

/** A whole frame: length, request header v1, body. */
export const request = (apiKey: number, version: number, body: Buffer, correlationId = 1): Buffer =>
  sized(join(int16(apiKey), int16(version), int32(correlationId), text('wire-tests'), body))

/** A connection whose answers are taken frame by frame. */
export class RawConnection {
  readonly socket: Socket
  /** Resolves when the connection is closed, from whichever side. */
  readonly closed: Promise<void>
  #received: Buffer[] = []
  #bytes = 0
  #more: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk)
      this.#bytes += chunk.length
      this.#more?.()
    })
    this.closed = new Promise(resolve => {
      socket.once('close', () => {
        resolve()
        this.#more?.()
      })
    })
  }

  static async open(kafka: string): Promise<RawConnection> {
    const [host = '', port = ''] = kafka.split(':')
    const socket = connect(Number(port), host)
    const connection = new RawConnection(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return connection
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  /** The next answer behind its correlation id. Rejects when the connection closes first. */
  async answer(): Promise<Reader> {
    await this.#atLeast(4)
    const length = this.#whole().readInt32BE(0)
    await this.#atLeast(4 + length)
    const all = this.#whole()
    this.#received = [all.subarray(4 + length)]
    this.#bytes = all.length - 4 - length
    return new Reader(all.subarray(8, 4 + length), all.readInt32BE(4))
  }

  async ask(apiKey: number, version: number, body: Buffer): Promise<Reader> {
    this.write(request(apiKey, version, body))
    return await this.answer()
  }

  close(): void {
    this.socket.destroy()
  }

  #whole(): Buffer {
    const whole = Buffer.concat(this.#received)
    this.#received = [whole]
    return whole
  }

  async #atLeast(bytes: number): Promise<void> {
    while (this.#bytes < bytes) {
      if (this.socket.closed)
        throw new Error(`the connection was closed after ${this.#bytes} of ${bytes} bytes`)
      await new Promise<void>(resolve => (this.#more = resolve))
    }
  }
}

/** Reads an answer field by field. */
export class Reader {
  readonly bytes: Buffer
  readonly correlationId: number
  #at = 0

  constructor(bytes: Buffer, correlationId: number) {
    this.bytes = bytes
    this.correlationId = correlationId
  }

  get left(): number {
    return this.bytes.length - this.#at
  }
  int8(): number {
    return this.bytes.readInt8(this.#step(1))
  }
  int16(): number {
    return this.bytes.readInt16BE(this.#step(2))
  }
  int32(): number {
    return this.bytes.readInt32BE(this.#step(4))
  }
  int64(): number {
    return Number(this.bytes.readBigInt64BE(this.#step(8)))
  }
  text(): string | null {
    const length = this.int16()
    if (length < 0) return null
    const from = this.#step(length)
    return this.bytes.toString('utf8', from, from + length)
  }
  sized(): Buffer {
    const length = Math.max(0, this.int32())
    const from = this.#step(length)
    return this.bytes.subarray(from, from + length)
  }
  array<T>(item: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, item)
  }

  #step(bytes: number): number {
    const from = this.#at
    this.#at += bytes
    return from
  }
}

export type BatchParts = {
  values: readonly string[]
  magic?: number
  /** The number of records that the header claims, and the last offset delta, when they are not the true ones. */
  count?: number
  lastOffsetDelta?: number
  attributes?: number
  producerId?: number
  producerEpoch?: number
  baseSequence?: number
  /** Called with the finished batch, to spoil it; the CRC is already in. */
  spoil?: (batch: Buffer) => void
}

/**
 * A record batch of magic 2, uncompressed. Layout: base offset 8, length 4, leader epoch 4, magic 1, crc 4, attributes 2,
 * last offset delta 4, first and largest timestamp 8 + 8, producer id 8, epoch 2, base sequence 4, count 4, records.
 */
export function batch(parts: BatchParts): Buffer {
  const count = parts.count ?? parts.values.length
  const records = parts.values.map((value, i) => {
    const bytes = Buffer.from(value)
    const body = join(int8(0), varint(0), varint(i), varint(-1), varint(bytes.length), bytes, varint(0))
    return join(varint(body.length), body)
  })
  const now = int64(Date.now())
  const covered = join(
    join(
      int16(parts.attributes ?? 0),
      int32(parts.lastOffsetDelta ?? parts.values.length - 1),
      now,
      now,
      int64(parts.producerId ?? -1),
    ),
    join(int16(parts.producerEpoch ?? -1), int32(parts.baseSequence ?? -1), int32(count), ...records),
  )
  const crc = Buffer.alloc(4)
  crc.writeUInt32BE(crc32c(covered))
  const behindLength = join(int32(-1), int8(parts.magic ?? 2), crc, covered)
  const whole = join(int64(0), sized(behindLength))
  parts.spoil?.(whole)
  return whole
}

const varint = (n: number): Buffer => {
  let rest = (n << 1) ^ (n >> 31)
  const bytes: number[] = []
  while ((rest & ~0x7f) !== 0) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** Produce v7 of one batch. Answers the partition's error code and base offset. */
export async function produceRaw(
  connection: RawConnection,
  topic: string,
  partition: number,
  bytes: Buffer,
  acks = -1,
): Promise<{ error: number; baseOffset: number }> {
  const body = join(
    join(text(null), int16(acks), int32(10_000), int32(1), text(topic)),
    join(int32(1), int32(partition), sized(bytes)),
  )
  const answer = await connection.ask(0, 7, body)
  const [topics] = answer.array(() => {
    answer.text()
    return answer.array(() => {
      answer.int32()
      const outcome = { error: answer.int16(), baseOffset: answer.int64() }
      answer.int64()
      answer.int64()
      return outcome
    })
  })
  return topics?.[0] ?? { error: NaN, baseOffset: NaN }
}

export type FetchParts = {
  topic: string
  partition: number
  offset: number
  bytesMax?: number
  waitMs?: number
}

/** The body of Fetch v4. */
export const fetchBody = (parts: FetchParts): Buffer =>
  join(
    join(int32(-1), int32(parts.waitMs ?? 0), int32(1), int32(parts.bytesMax ?? 1 << 20), int8(0)),
    join(int32(1), text(parts.topic), int32(1)),
    join(int32(parts.partition), int64(parts.offset), int32(parts.bytesMax ?? 1 << 20)),
  )

/** What an answer to `fetchBody` holds. */
export function fetched(answer: Reader): { error: number; highWatermark: number; records: Buffer } {
  answer.int32()
  const [partitions] = answer.array(() => {
    answer.text()
    return answer.array(() => {
      answer.int32()
      const error = answer.int16()
      const highWatermark = answer.int64()
      answer.int64()
      answer.array(() => [answer.int64(), answer.int64()])
      return { error, highWatermark, records: answer.sized() }
    })
  })
  return partitions?.[0] ?? { error: NaN, highWatermark: NaN, records: Buffer.alloc(0) }
}

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof codecs)[number]

/** The codecs of the batches that a partition holds, as its stored bytes say. */
export async function codecsStored(kafka: string, topic: string, partition: number): Promise<Set<Codec>> {
  const connection = await RawConnection.open(kafka)
  try {
    const body = fetchBody({ topic, partition, offset: 0, bytesMax: 8 << 20 })
    const { records } = fetched(await connection.ask(1, 4, body))
    const found = new Set<Codec>()
    for (let at = 0; at + 61 <= records.length; at += 12 + records.readInt32BE(at + 8)) {
      found.add(codecs[records.readInt16BE(at + 21) & 7] ?? 'none')
    }
    return found
  } finally {
    connection.close()
  }
}

/** The offset behind the last record that readers may see (ListOffsets v1, timestamp -1). */
export async function highWatermark(
  connection: RawConnection,
  topic: string,
  partition: number,
): Promise<number> {
  const body = join(int32(-1), int32(1), text(topic), int32(1), int32(partition), int64(-1))
  const answer = await connection.ask(2, 1, body)
  const [partitions] = answer.array(() => {
    answer.text()
    return answer.array(() => {
      answer.int32()
      answer.int16()
      answer.int64()
      return answer.int64()
    })
  })
  return partitions?.[0] ?? -1
}
