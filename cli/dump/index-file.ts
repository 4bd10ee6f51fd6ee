import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { readInt64 } from '../../base/int64.ts'
import { batchHeaderBytes, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { time } from './batch-facts.ts'
import type { Dumping } from './dumping.ts'

const entriesAtOnce = 8192

/** `.index`: relative offset u32, position u32 of the batch whose last offset it is. */
export function* dumpOffsetIndex(fd: number, path: string, dumping: Dumping): Generator<string> {
  const log = openLog(path)
  let before = -1
  try {
    for (const { entry, position } of entriesOf(fd, 8, dumping)) {
      const [relative, batchPosition] = [entry.readUInt32BE(0), entry.readUInt32BE(4)]
      const offset = dumping.baseOffset + relative
      const facts = { offset, position: batchPosition }
      const damage =
        relative <= before ? 'the offsets do not rise' : contradiction(log, offset, batchPosition)
      before = relative
      yield shown(dumping, position, facts, `offset ${offset}  position ${batchPosition}`, damage)
    }
  } finally {
    if (log !== undefined) closeSync(log)
  }
}

/** `.timeindex`: timestamp i64, relative offset u32 of the batch that first reached it. */
export function* dumpTimeIndex(fd: number, dumping: Dumping): Generator<string> {
  let before = { timestamp: -1, offset: -1 }
  for (const { entry, position } of entriesOf(fd, 12, dumping)) {
    const facts = { timestamp: readInt64(entry, 0), offset: dumping.baseOffset + entry.readUInt32BE(8) }
    const rises = facts.timestamp > before.timestamp && facts.offset >= before.offset
    before = facts
    const text = `time ${time(facts.timestamp)}  offset ${facts.offset}`
    yield shown(dumping, position, facts, text, rises ? undefined : 'time and offset do not rise')
  }
}

function shown(
  dumping: Dumping,
  at: number,
  facts: object,
  text: string,
  damage: string | undefined,
): string {
  dumping.count('entries', 1)
  if (damage !== undefined) dumping.damaged(at, damage)
  if (dumping.json) return JSON.stringify({ ...facts, ...(damage !== undefined && { damage }) })
  return damage === undefined ? text : `${text}  DAMAGED: ${damage}`
}

/** The entries up to the end, or up to the zeros with which Kafka fills an index it still writes to. */
function* entriesOf(
  fd: number,
  bytes: number,
  dumping: Dumping,
): Generator<{ entry: Buffer; position: number }> {
  const chunk = Buffer.allocUnsafe(entriesAtOnce * bytes)
  const sizeBytes = fstatSync(fd).size
  for (let start = 0; start < sizeBytes; start += chunk.length) {
    const got = readSync(fd, chunk, 0, chunk.length, start)
    for (let at = 0; at + bytes <= got; at += bytes) {
      const entry = chunk.subarray(at, at + bytes)
      if (start + at > 0 && entry.every(byte => byte === 0)) return
      yield { entry, position: start + at }
    }
    if (got % bytes !== 0) dumping.damaged(sizeBytes - (got % bytes), 'an entry is cut off')
  }
}

/** The segment beside an index; undefined when it is not there. */
function openLog(indexPath: string): number | undefined {
  try {
    return openSync(indexPath.replace(/\.index/, '.log'), 'r')
  } catch {
    return undefined
  }
}

/** What the log says against an entry. */
function contradiction(log: number | undefined, offset: number, position: number): string | undefined {
  if (log === undefined) return undefined
  const header = Buffer.alloc(batchHeaderBytes)
  if (readSync(log, header, 0, header.length, position) < header.length)
    return 'the log ends before that position'
  const last = lastOffsetOf(header, 0)
  return last === offset ? undefined : `the batch there ends with offset ${last}`
}
