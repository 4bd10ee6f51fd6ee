import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  unlinkSync,
  appendFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { KIB, MIB, offset } from '../../base/quantities.ts'
import { batchBytesOf, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { realWorld } from '../world/world.ts'
import type { TabletCheckpoint } from './checkpoint.ts'
import { batchOf, bytesOf, checkpointAt, sharedOf, write } from './log.fixture.ts'
import type { Log } from './log.ts'
import { openLog } from './open-log.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'stele-log-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const settings = { segmentBytes: MIB, segmentMs: Infinity, segmentIndexBytes: MIB, indexIntervalBytes: 4096 }
const open = (checkpoint?: TabletCheckpoint, clean = false) =>
  openLog({
    shared: sharedOf({ world: realWorld() }, { tailBytes: 64 * KIB }),
    directory,
    settings,
    checkpoint,
    clean,
    visit: () => undefined,
    progress: () => undefined,
  })

/** Five megabytes in batches of all sizes; answers what stands in the log. */
function fill(log: Log): Buffer[] {
  const batches: Buffer[] = []
  for (let bytes = 0, i = 0; bytes < 5 * MIB; i++) {
    const batch = batchOf({
      count: 1 + (i % 5),
      bytes: 100 + ((i * 7919) % (i % 50 === 0 ? 300 * KIB : 8 * KIB)),
    })
    if (i % 7 === 0) write(log, batch)
    else write(log, batch, batchOf())
    bytes += batch.length
    batches.push(batch)
  }
  return batches
}

const filesTogether = (): Buffer =>
  Buffer.concat(
    readdirSync(directory)
      .filter(name => name.endsWith('.log'))
      .sort()
      .map(name => readFileSync(join(directory, name))),
  )

async function readAll(log: Log): Promise<Buffer> {
  const all: Buffer[] = []
  let next: number = log.firstOffset
  while (next < log.end.offset) {
    const bytes = bytesOf(await log.read(offset(next), log.end, 100 * KIB, true))
    for (let at = 0; at < bytes.length; at += batchBytesOf(bytes, at)) next = lastOffsetOf(bytes, at) + 1
    all.push(bytes)
  }
  return Buffer.concat(all)
}

test('what was written is read, before and after a clean stop, a crash and the loss of all indexes', async () => {
  const { log } = await open()
  fill(log)
  const end = await log.sync()
  await log.syncIndexes()
  const due = filesTogether()
  expect((await readAll(log)).equals(due)).toBe(true)
  log.close()
  for (const [checkpoint, clean] of [
    [checkpointAt(end), true],
    [checkpointAt(end), false],
    [undefined, false],
  ] as const) {
    const { log: again, cut, lost } = await open(checkpoint, clean)
    expect([again.end, cut, lost]).toEqual([end, undefined, []])
    expect((await readAll(again)).equals(due)).toBe(true)
    again.close()
    for (const name of readdirSync(directory)) if (name.endsWith('index')) unlinkSync(join(directory, name))
  }
})

test('a torn tail is cut and kept, and the log goes on', async () => {
  const { log } = await open()
  fill(log)
  const end = await log.sync()
  log.close()
  const active = join(directory, `${String(end.segment).padStart(20, '0')}.log`)
  const torn = batchOf({ bytes: 3000 }).subarray(0, 2000)
  appendFileSync(active, torn)
  const { log: again, cut } = await open(checkpointAt(end))
  expect(cut?.bytes).toBe(2000)
  expect(readFileSync(cut?.path ?? '').equals(torn)).toBe(true)
  write(again, batchOf())
  await again.sync()
  expect((await readAll(again)).equals(filesTogether())).toBe(true)
  again.close()
})

test('a file that lost its end is said to, and its offsets are not given again', async () => {
  const { log } = await open()
  fill(log)
  const end = await log.sync()
  await log.syncIndexes()
  log.close()
  truncateSync(join(directory, `${String(end.segment).padStart(20, '0')}.log`), 10)
  const { log: again, lost } = await open(checkpointAt(end))
  expect(lost).toEqual([{ from: end.segment, to: end.offset }])
  write(again, batchOf())
  expect(again.end.offset).toBe(end.offset + 1)
  again.close()
})

test('dropped segments are read to the end by those who are just there', async () => {
  const { log } = await open()
  fill(log)
  await log.sync()
  const reading = Promise.all([0, 10, 20].map(async at => log.read(offset(at), log.end, 50 * KIB, true)))
  const names = log.dropBefore(log.end.segment)
  for (const batches of await reading) expect(bytesOf(batches).length).toBeGreaterThan(0)
  expect(names.length).toBeGreaterThan(3)
  log.close()
  const { log: again } = await open({ ...checkpointAt(log.end), logStart: log.end.segment })
  expect(readdirSync(directory).filter(name => name.endsWith('deleted'))).toEqual([])
  again.close()
})
