import { isUtf8 } from 'node:buffer'
import type { RecordHeader, StoredRecord } from '../../../protocol/kafka/records.ts'
import type { Encoding } from './parameters.ts'

/**
 * The record as JSON on one line. Keys, values and header values are text when all of them are UTF-8, otherwise base64, unless
 * `encoding` says which.
 */
export function renderRecord(partition: number, record: StoredRecord, forced: Encoding | undefined): string {
  const encoding = forced === 'base64' || !isText(record) ? 'base64' : 'text'
  const head = `{"partition":${partition},"offset":${record.offset},"timestamp":${record.timestamp}`
  const key = render(record.key, encoding)
  const value = render(record.value, encoding)
  const headers = record.headers.length === 0 ? '[]' : renderHeaders(record.headers, encoding)
  return `${head},"key":${key},"value":${value},"headers":${headers},"encoding":"${encoding}"}`
}

function isText({ key, value, headers }: StoredRecord): boolean {
  if (key !== null && !isUtf8(key)) return false
  if (value !== null && !isUtf8(value)) return false
  return headers.every(([, bytes]) => bytes === null || isUtf8(bytes))
}

function renderHeaders(headers: readonly RecordHeader[], encoding: Encoding): string {
  const pairs = headers.map(([name, value]) => `[${JSON.stringify(name)},${render(value, encoding)}]`)
  return `[${pairs.join(',')}]`
}

function render(bytes: Buffer | null, encoding: Encoding): string {
  if (bytes === null) return 'null'
  return encoding === 'text' ? JSON.stringify(bytes.toString('utf8')) : `"${bytes.toString('base64')}"`
}
