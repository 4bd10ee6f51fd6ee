import { isUtf8 } from 'node:buffer'
import { MIB } from '../../base/quantities.ts'
import { MalformedRecords } from '../../protocol/kafka/malformed.ts'
import { countOf } from '../../protocol/kafka/record-batch.ts'
import { readRecords, type StoredRecord } from '../../protocol/kafka/records.ts'
import { factsLine, factsOf, time } from './batch-facts.ts'
import { batchesOf, type Found } from './batches.ts'
import type { Dumping } from './dumping.ts'

/** What one batch may unpack to; more is damage, not data. */
const unpackedBytesMax = 512 * MIB

/** A line for each batch of a segment file, and one for each record when asked. */
export function* dumpLog(fd: number, dumping: Dumping): Generator<string> {
  for (const found of batchesOf(fd, dumping.baseOffset)) {
    if (found.damage !== undefined) dumping.damaged(found.position, found.damage)
    if (found.bytes === undefined) yield unreadable(found, dumping.json)
    else yield* dumpBatch(found, found.bytes, dumping)
  }
}

function* dumpBatch({ position, damage }: Found, bytes: Buffer, dumping: Dumping): Generator<string> {
  dumping.count('batches', 1)
  dumping.count('records', countOf(bytes, 0))
  const facts = factsOf(position, bytes)
  const readable = dumping.records && damage === undefined
  if (dumping.json) {
    const records = readable ? { records: [...recordsOf(bytes, position, dumping)].map(recordJson) } : {}
    yield JSON.stringify({ ...facts, ...records, ...(damage !== undefined && { damage }) })
    return
  }
  yield `${factsLine(facts)}  ${damage === undefined ? 'ok' : `DAMAGED: ${damage}`}`
  if (!readable) return
  for (const record of recordsOf(bytes, position, dumping)) yield recordLine(record)
}

const unreadable = ({ position, damage }: Found, json: boolean): string =>
  json ? JSON.stringify({ position, damage }) : `@${position}  DAMAGED: ${damage}`

function* recordsOf(bytes: Buffer, position: number, dumping: Dumping): Generator<StoredRecord> {
  try {
    yield* readRecords(bytes, 0, unpackedBytesMax)
  } catch (error) {
    if (!(error instanceof MalformedRecords)) throw error
    dumping.damaged(position, `its records cannot be read: ${error.message}`)
  }
}

/** As the HTTP API writes a record: text when all of it is UTF-8, otherwise all of it base64. */
function recordJson({ offset, timestamp, key, value, headers }: StoredRecord) {
  const isText = [key, value, ...headers.map(([, header]) => header)].every(
    part => part === null || isUtf8(part),
  )
  const encoding = isText ? 'text' : 'base64'
  const word = (part: Buffer | null) => part?.toString(isText ? 'utf8' : 'base64') ?? null
  return {
    offset,
    timestamp,
    key: word(key),
    value: word(value),
    headers: headers.map(([name, header]) => [name, word(header)]),
    encoding,
  }
}

function recordLine(record: StoredRecord): string {
  const headers = record.headers.map(([name, value]) => `  ${name}=${quoted(value)}`).join('')
  const key = record.key === null ? '' : `  key ${quoted(record.key)}`
  return `  ${record.offset}  ${time(record.timestamp)}${key}  value ${quoted(record.value)}${headers}`
}

function quoted(part: Buffer | null): string {
  if (part === null) return 'null'
  return isUtf8(part) ? JSON.stringify(part.toString()) : `base64:${part.toString('base64')}`
}
