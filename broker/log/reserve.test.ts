import { expect, test } from 'vitest'
import { replaceFileNow } from '../../base/files.ts'
import { MIB } from '../../base/quantities.ts'
import { simWorld } from '../../test/sim/world.ts'
import { Reserve, withReserve } from './reserve.ts'

function fullDisk() {
  const sim = simWorld({ seed: 1 })
  const { disk, clock } = sim.world
  disk.makeDirectory('/data')
  sim.disk.capacityBytes = 16 * MIB
  const reserve = new Reserve(disk, '/data/reserve')
  reserve.keep(clock)
  const log = disk.open('/data/log', 'create')
  const fill = (): void => {
    while (disk.space('/data').freeBytes > 0) {
      const bytes = Math.min(disk.space('/data').freeBytes, MIB)
      log.write([Buffer.alloc(bytes)], log.sizeBytes())
    }
  }
  fill()
  return { sim, disk, log, fill, reserved: withReserve(disk, reserve) }
}

const enospc = expect.objectContaining({ code: 'ENOSPC' })

test('appends do not get the reserve', () => {
  const { log, reserved } = fullDisk()
  expect(log.sizeBytes()).toBe(12 * MIB)
  expect(() => reserved.open('/data/log', 'write').write([Buffer.alloc(1)], log.sizeBytes())).toThrow(enospc)
})

test('a small file is replaced although the disk is full', () => {
  const { disk, reserved } = fullDisk()
  expect(() => replaceFileNow(disk, '/data/control.json', Buffer.from('a'))).toThrow(enospc)
  replaceFileNow(reserved, '/data/control.json', Buffer.from('a'))
  expect(reserved.stat('/data/control.json')?.sizeBytes).toBe(1)
})

test('the reserve is given up once, and taken back when there is room again', async () => {
  const { sim, disk, log, fill, reserved } = fullDisk()
  replaceFileNow(reserved, '/data/control.json', Buffer.from('a'))
  fill()
  expect(() => replaceFileNow(reserved, '/data/control.json', Buffer.from('b'))).toThrow(enospc)
  log.truncate(MIB)
  await sim.clock.runFor(60_000)
  expect(disk.stat('/data/reserve')?.sizeBytes).toBe(4 * MIB)
})

test('a reserve of the run before is used again', () => {
  const { disk } = fullDisk()
  const again = new Reserve(disk, '/data/reserve')
  again.hold()
  expect(again.giveUp()).toBe(true)
})
