import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MIB } from '../base/quantities.ts'
import { batchBytesOf, lastOffsetOf, placeBatch } from '../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords } from '../protocol/kafka/records.ts'
import { cleanerOnThread } from './compaction-thread.ts'
import type { Cleaner, Pass, Span } from './log/compaction/cleaner.ts'

let directory = ''
let cleaner: Cleaner
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/stele-thread-`)
  cleaner = cleanerOnThread()
})
afterEach(async () => {
  await cleaner.end()
  rmSync(directory, { recursive: true })
})

const path = (name: string): string => `${directory}/00000000000000000000.${name}`

/** A segment of ten batches that write the same two keys, one of them for the last time in the middle. */
function writeSegment(): Span {
  const batches = Array.from({ length: 10 }, (_, i) => {
    const keys = i < 5 ? ['a', 'b'] : ['a']
    const records = keys.map(key => ({
      key: Buffer.from(key),
      value: Buffer.from(`${key}${i}`),
      headers: [],
      timestamp: i,
    }))
    return buildBatch(records, { codec: i % 2 === 0 ? 'snappy' : 'lz4' })
  })
  let endOffset = 0
  for (const batch of batches) {
    placeBatch(batch, 0, endOffset, 0)
    endOffset = lastOffsetOf(batch, 0) + 1
  }
  const log = Buffer.concat(batches)
  writeFileSync(path('log'), log)
  return { baseOffset: 0, endOffset, sizeBytes: log.length }
}

const passOf = (span: Span): Pass => ({
  directory,
  dirty: [span],
  from: 0,
  cleaned: 0,
  mapBytesMax: MIB,
  hashKey: Buffer.alloc(16, 1),
  nowMs: 1000,
  deleteRetentionMs: 1000,
  lastOfProducers: [],
  segmentBytes: MIB,
  indexIntervalBytes: 4096,
  bytesPerSecond: Infinity,
  timeShare: 1,
})

test('a segment is compacted on another thread, with every codec it needs', async () => {
  const span = writeSegment()
  expect(await cleaner.begin(passOf(span))).toEqual({ kind: 'begun', endOffset: span.endOffset, keys: 2 })
  const cleaned = await cleaner.clean([span])
  expect(cleaned).toMatchObject({ kind: 'cleaned', spans: 1, changed: true, records: 15, recordsRemoved: 13 })
  const log = readFileSync(path('log.cleaned'))
  const left: string[] = []
  for (let at = 0; at < log.length; at += batchBytesOf(log, at))
    left.push(...[...readRecords(log, at, MIB)].map(({ value }) => String(value)))
  expect(left).toEqual(['b4', 'a9'])
})

test('what goes wrong there is told here', async () => {
  const span = writeSegment()
  rmSync(path('log'))
  await expect(cleaner.begin(passOf(span))).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(cleaner.clean([span])).rejects.toThrow('there is nothing to clean')
})

test('a thread that is ended leaves nobody waiting, and the next call has a new one', async () => {
  const span = writeSegment()
  const waiting = cleaner.begin({ ...passOf(span), bytesPerSecond: 1 })
  const failed = waiting.catch(String)
  await cleaner.end()
  expect(await failed).toContain('the thread was ended')
  expect(await cleaner.begin(passOf(span))).toMatchObject({ kind: 'begun', keys: 2 })
})
