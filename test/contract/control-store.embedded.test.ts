import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { crc32c } from '../../base/crc32c.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Disk, DiskFile } from '../../base/world.ts'
import { realDisk } from '../../broker/world/disk.ts'
import { openEmbeddedStore } from '../../control/embedded/store.ts'
import { controlStoreContract } from './control-store.ts'
import { startOf, stateOf } from './control-store.opened.ts'
import type { Opened } from './control-store.opened.ts'

const root = mkdtempSync(join(tmpdir(), 'stele-control-'))
afterAll(() => rmSync(root, { recursive: true }))

const newPath = () => join(mkdtempSync(join(root, 'data-')), 'control.json')
const random = { bytes: randomBytes }
const openAt = (path: string, disk: Disk = realDisk) => openEmbeddedStore({ disk, random, path })

function opened(path: string): Opened {
  const store = openAt(path)
  const reopen = async () => {
    await store.close()
    return opened(path)
  }
  return { store, reopen }
}

controlStoreContract('embedded', async () => opened(newPath()))

type Faults = { fails: 'write' | 'sync' | 'syncDirectory' | undefined; code: string; written: number }

/** The real disk, on which the chosen calls fail, and whole files written are counted. */
function faultyDisk(faults: Faults): Disk {
  const failIf = (call: Faults['fails']) => {
    if (faults.fails === call)
      throw Object.assign(new Error(`${faults.code}: injected`), { code: faults.code })
  }
  const faulty = (file: DiskFile): DiskFile => ({
    ...file,
    path: file.path,
    sizeBytes: () => file.sizeBytes(),
    read: (into, at) => file.read(into, at),
    readLater: (into, at) => file.readLater(into, at),
    truncate: size => file.truncate(size),
    syncNow: () => file.syncNow(),
    close: () => file.close(),
    write(pieces, at) {
      // A full disk takes a part.
      if (faults.fails === 'write') file.write([Buffer.concat(pieces).subarray(0, 10)], at)
      failIf('write')
      file.write(pieces, at)
    },
    async sync() {
      failIf('sync')
      await file.sync()
      faults.written += 1
    },
  })
  return {
    ...realDisk,
    open: (path, mode) => faulty(realDisk.open(path, mode)),
    async syncDirectory(path) {
      if (faults.fails === 'syncDirectory') {
        faults.fails = undefined
        throw Object.assign(new Error('EIO: injected'), { code: 'EIO' })
      }
      await realDisk.syncDirectory(path)
    },
  }
}

async function filled(path: string, disk: Disk = realDisk) {
  const store = openAt(path, disk)
  await store.registerBroker(startOf(1))
  await store.createTopics([{ name: 'orders', settings: { a: 'ü' }, tablets: 2, replication: 1 }])
  return store
}

const topic = (name: string) => ({ name, settings: {}, tablets: 1, replication: 1 })

describe('writing the file', () => {
  test('changes that come while a write is under way share the next one', async () => {
    const faults: Faults = { fails: undefined, code: '', written: 0 }
    const path = newPath()
    const store = await filled(path, faultyDisk(faults))
    faults.written = 0
    const first = store.createTopics([topic('first')])
    await Promise.resolve()
    await Promise.resolve()
    const rest = Array.from({ length: 50 }, (_, n) => store.createTopics([topic(`t${n}`)]))
    await Promise.all([first, ...rest])
    expect(faults.written).toBe(2)
    expect(stateOf(openAt(path))).toEqual(stateOf(store))
  })

  test('what is refused is not written', async () => {
    const faults: Faults = { fails: undefined, code: '', written: 0 }
    const store = await filled(newPath(), faultyDisk(faults))
    faults.written = 0
    await store.createTopics([topic('orders'), topic('')])
    await store.createTopics([topic('new')], { validateOnly: true })
    expect(faults.written).toBe(0)
  })

  test.each([
    ['write', 'ENOSPC'],
    ['sync', 'EIO'],
    ['syncDirectory', 'EIO'],
  ] as const)('a %s that fails refuses just those changes', async (fails, code) => {
    const faults: Faults = { fails: undefined, code, written: 0 }
    const path = newPath()
    const store = await filled(path, faultyDisk(faults))
    const before = stateOf(store)
    const onDisk = readFileSync(path)
    const events: string[] = []
    store.watch(event => events.push(event.kind))
    faults.fails = fails
    const answers = await Promise.allSettled([
      store.createTopics([topic('lost')]),
      store.alterBrokerSettings({ set: { b: '1' }, unset: [] }),
    ])
    for (const answer of answers) {
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: { name: 'Refusal', code: 'KAFKA_STORAGE_ERROR' },
      })
      expect(String(answer.status === 'rejected' && answer.reason)).toContain(path)
    }
    expect(stateOf(store)).toEqual(before)
    expect(events).toEqual([])
    expect(readFileSync(path)).toEqual(onDisk)
    faults.fails = undefined
    await store.createTopics([topic('kept')])
    expect([...openAt(path).topics().keys()]).toEqual(['orders', 'kept'])
  })

  test('a crash before the rename leaves the old content, and the next write works', async () => {
    const path = newPath()
    const store = await filled(path)
    writeFileSync(`${path}.tmp`, readFileSync(path).subarray(0, 50))
    const again = openAt(path)
    expect(stateOf(again)).toEqual(stateOf(store))
    await again.createTopics([topic('new')])
    expect([...openAt(path).topics().keys()]).toEqual(['orders', 'new'])
    expect(readdirSync(join(path, '..'))).toEqual(['control.json'])
  })
})

const refusalOf = (path: string): Refusal | undefined => {
  try {
    openAt(path)
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

function given(content: string | Buffer): { path: string; message: string | undefined } {
  const path = newPath()
  writeFileSync(path, content)
  const refused = refusalOf(path)
  expect(refused?.code ?? 'none').toMatch(/KAFKA_STORAGE_ERROR|none/)
  expect(readFileSync(path)).toEqual(Buffer.from(content))
  return { path, message: refused?.message }
}

describe('a file that cannot be used', () => {
  test.each(['hello', '{}', '[]', 'null', '{"format":"other","version":1}'])('%j is not ours', content => {
    const { path, message } = given(content)
    expect(message).toBe(
      `${path} is not a file of Stele's control store. Put back a good copy of it, or use another data directory.`,
    )
  })

  test('one that a crash has left empty is told as that', () => {
    const { path, message } = given('')
    expect(message).toMatch(`${path} cannot be used: it is empty. Put back a good copy of it.`)
  })

  test('a newer format is told', () => {
    const { path, message } = given('{"format":"stele control store","version":2,"stones":[]}')
    expect(message).toContain(
      `${path} has format 2 and was written by a newer Stele; this one knows format 1.`,
    )
  })

  test('a directory in its place', () => {
    const path = newPath()
    realDisk.makeDirectory(path)
    expect(refusalOf(path)?.message).toContain(`${path} cannot be read`)
  })

  test('content that has a right checksum but makes no sense', () => {
    const body = '{"format":"stele control store","version":1,"topics":7'
    const { message } = given(`${body}\n"crc32c":${crc32c(Buffer.from(body))}}`)
    expect(message).toContain('cannot be used')
    const comma = `${body},`
    const whole = given(`${comma}\n"crc32c":${crc32c(Buffer.from(comma))}}`)
    expect(whole.message).toMatch(/cannot be used: .*topics.*Put back a good copy/)
  })

  test('any byte changed or cut off is noticed', { timeout: 60_000 }, async () => {
    const path = newPath()
    await filled(path)
    const good = readFileSync(path)
    const at = fc.integer({ min: 0, max: good.length - 2 }) // the last byte is a line feed, which says nothing
    fc.assert(
      fc.property(at, fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bad = Buffer.from(good)
        bad.writeUInt8(bad.readUInt8(at) ^ flip, at)
        expect(given(bad).message).toBeDefined()
        expect(given(good.subarray(0, at)).message).toBeDefined()
      }),
    )
  })
})
