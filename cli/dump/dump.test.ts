import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { writeInt64 } from '../../base/int64.ts'
import { lastOffsetOf, placeBatch, sealBatch, type CodecName } from '../../protocol/kafka/record-batch.ts'
import { buildBatch } from '../../protocol/kafka/records.ts'
import { Dumping } from './dumping.ts'
import { dumpOffsetIndex, dumpTimeIndex } from './index-file.ts'
import { dumpLog } from './log-file.ts'
import { dumpSnapshot } from './snapshot.ts'

const directory = mkdtempSync(join(tmpdir(), 'stele-dump-'))
afterAll(() => rmSync(directory, { recursive: true }))

const ms = Date.parse('2026-01-31T08:00:00Z')

function batch(baseOffset: number, values: readonly (string | Buffer)[], codec: CodecName = 'none'): Buffer {
  const records = values.map((value, i) => ({
    key: Buffer.from(`k${i}`),
    value: Buffer.from(value),
    headers: [['h', null] as const],
    timestamp: ms + i,
  }))
  const bytes = buildBatch(records, { codec, producer: { id: 7, epoch: 1, baseSequence: 2 ** 31 - 2 } })
  placeBatch(bytes, 0, baseOffset, 3)
  return bytes
}

type How = { json?: boolean; records?: boolean }
type Dump = (fd: number, path: string, dumping: Dumping) => Iterable<string>

function dumped(dump: Dump, name: string, content: Buffer, how: How = {}) {
  const path = join(directory, name)
  writeFileSync(path, content)
  const fd = openSync(path, 'r')
  try {
    const dumping = new Dumping({ json: false, records: false, ...how, baseOffset: 100 })
    const lines = [...dump(fd, path, dumping)]
    return { lines, summary: dumping.summary, damage: dumping.damage }
  } finally {
    closeSync(fd)
  }
}

const log = (content: Buffer, how?: How) =>
  dumped((fd, _, dumping) => dumpLog(fd, dumping), '00000000000000000100.log', content, how)

describe('a segment', () => {
  const [first, second] = [batch(100, ['a', 'b', 'c']), batch(103, ['d'], 'zstd')]

  test('is a line a batch', () => {
    const { lines, summary, damage } = log(Buffer.concat([first, second]))
    expect(lines[0]).toMatch(
      /^@0 {2}offsets 100\.\.102 {2}count 3 {2}bytes \d+ {2}codec none {2}CreateTime 2026-01-31T08:00:00\.000Z\.\.2026-01-31T08:00:00\.002Z {2}epoch 3 {2}producer 7\/1 sequence 2147483646\.\.0 {2}crc [0-9a-f]{8} {2}ok$/,
    )
    expect(lines[1]).toContain(`@${first.length}  offsets 103..103  count 1`)
    expect(lines[1]).toContain('codec zstd')
    expect(summary).toBe('2 batches, 4 records')
    expect(damage).toBeUndefined()
  })

  test('shows its records, text or base64', () => {
    const bytes = Buffer.concat([first, batch(103, [Buffer.from([255])], 'gzip')])
    expect(log(bytes, { records: true }).lines.filter(line => line.startsWith(' '))).toEqual([
      '  100  2026-01-31T08:00:00.000Z  key "k0"  value "a"  h=null',
      '  101  2026-01-31T08:00:00.001Z  key "k1"  value "b"  h=null',
      '  102  2026-01-31T08:00:00.002Z  key "k2"  value "c"  h=null',
      '  103  2026-01-31T08:00:00.000Z  key "k0"  value base64:/w==  h=null',
    ])
    const json = log(bytes, { records: true, json: true }).lines.map(line => JSON.parse(line) as unknown)
    expect(json).toMatchObject([
      { position: 0, base_offset: 100, count: 3, records: [{ value: 'a', headers: [['h', null]] }, {}, {}] },
      {
        position: first.length,
        codec: 'gzip',
        records: [{ key: 'azA=', value: '/w==', encoding: 'base64' }],
      },
    ])
  })

  test('that is empty is sound', () => expect(log(Buffer.alloc(0)).damage).toBeUndefined())

  test('every flipped bit under the checksum is found, and what follows is still read', () => {
    for (let at = 21; at < first.length; at += 7) {
      const bytes = Buffer.concat([first, second])
      bytes[at] = (bytes[at] ?? 0) ^ 1
      const { lines, damage } = log(bytes)
      expect(damage, `byte ${at}`).toBe('damaged at position 0: the checksum does not match')
      expect(lines[1]).toMatch(/ok$/)
    }
  })

  test('a torn end names its position', () => {
    const bytes = Buffer.concat([first, second])
    expect(log(bytes.subarray(0, -1)).damage).toBe(
      `damaged at position ${first.length}: the batch is cut off: ${second.length - 1} of its ${second.length} bytes are there`,
    )
    expect(log(bytes.subarray(0, first.length + 5)).damage).toContain('5 bytes are left')
    expect(log(Buffer.concat([first, Buffer.alloc(100)])).damage).toContain('begin with zeros')
    expect(log(Buffer.concat([first, Buffer.alloc(100, 0xff)])).damage).toContain('no batch begins here')
  })

  test('offsets that go back, another format and unreadable records are damage', () => {
    expect(log(Buffer.concat([second, first])).damage).toContain(
      'its first offset is 100, it should be 104 or more',
    )
    const old = batch(100, ['a'])
    old.writeInt8(1, 16)
    expect(log(old).damage).toContain('its magic is 1')
    const lying = batch(100, ['abcdef'])
    lying.writeInt8(127, 61)
    sealBatch(lying, 0)
    expect(log(lying).damage).toBeUndefined()
    expect(log(lying, { records: true }).damage).toContain('its records cannot be read')
  })

  test('damage in many places is counted', () => {
    const bad = batch(100, ['a'])
    bad.writeUInt8(9, bad.length - 1)
    expect(log(Buffer.concat([bad, bad])).damage).toBe(
      'damaged in 2 places, first at position 0: the checksum does not match',
    )
  })
})

const entries = (...list: readonly [number, number][]): Buffer => {
  const bytes = Buffer.alloc(list.length * 8)
  for (const [i, [relative, position]] of list.entries()) {
    bytes.writeUInt32BE(relative, i * 8)
    bytes.writeUInt32BE(position, i * 8 + 4)
  }
  return bytes
}

describe('an index', () => {
  const batches = [batch(100, ['a', 'b']), batch(102, ['c'])]
  const index = (content: Buffer, how?: How) => {
    writeFileSync(join(directory, '00000000000000000100.log'), Buffer.concat(batches))
    return dumped(dumpOffsetIndex, '00000000000000000100.index', content, how)
  }
  const second = batches[0]?.length ?? 0

  test('is a line an entry, and is compared with the log beside it', () => {
    expect(lastOffsetOf(batches[0] ?? Buffer.alloc(0), 0)).toBe(101)
    const sound = index(entries([1, 0], [2, second]))
    expect(sound).toEqual({
      lines: ['offset 101  position 0', `offset 102  position ${second}`],
      summary: '2 entries',
      damage: undefined,
    })
    expect(index(entries([2, 0])).damage).toContain('the batch there ends with offset 101')
    expect(index(entries([2, 100_000])).damage).toContain('the log ends before that position')
    expect(index(entries([2, second], [2, second])).damage).toContain(
      'at position 8: the offsets do not rise',
    )
    expect(index(entries([1, 0]).subarray(0, 7)).damage).toContain('cut off')
  })

  test('ends at the zeros that Kafka puts behind the entries', () => {
    expect(index(Buffer.concat([entries([1, 0]), Buffer.alloc(80)])).lines).toHaveLength(1)
  })

  test('of times says time and offset, both rising', () => {
    const bytes = Buffer.alloc(24)
    writeInt64(bytes, ms, 0)
    bytes.writeUInt32BE(1, 8)
    writeInt64(bytes, ms, 12)
    bytes.writeUInt32BE(2, 20)
    const { lines, damage } = dumped((fd, _, dumping) => dumpTimeIndex(fd, dumping), 'x.timeindex', bytes)
    expect(lines[0]).toBe('time 2026-01-31T08:00:00.000Z  offset 101')
    expect(damage).toContain('at position 12: time and offset do not rise')
  })
})

const snapshotDump: Dump = (fd, _, dumping) => dumpSnapshot(fd, dumping)

test('a snapshot is a line a producer; what is no snapshot is damage', () => {
  const snapshot = {
    version: 1,
    producers: [{ id: 7, epoch: 1, lastAppendMs: ms, batches: [[0, 4, 100, 104]] }],
  }
  expect(dumped(snapshotDump, 'x.snapshot', Buffer.from(JSON.stringify(snapshot))).lines).toEqual([
    'producer 7/1  last append 2026-01-31T08:00:00.000Z  sequence 0..4 at offsets 100..104',
  ])
  for (const text of ['', '{}', 'null', '\u0000\u0001']) {
    expect(dumped(snapshotDump, 'x.snapshot', Buffer.from(text)).damage).toContain('no JSON with producers')
  }
})
