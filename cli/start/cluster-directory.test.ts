import { expect, test } from 'vitest'
import { brokerId } from '../../base/quantities.ts'
import { DataDirectory } from '../../broker/log/data-directory.ts'
import { simWorld } from '../../test/sim/world.ts'
import type { Failure } from '../failure.ts'
import { openClusterDirectory, othersEnded } from './cluster-directory.ts'

function setUp() {
  const { world } = simWorld({ seed: 1 })
  const open = (brokers: number) => {
    const directory = openClusterDirectory(world, '/data', brokers)
    directory.release()
    return directory
  }
  const put = (path: string) => world.disk.open(path, 'create').close()
  return { world, open, put }
}

test('a cluster keeps its id and grows, and never shrinks', () => {
  const { open, put } = setUp()
  const { clusterId, control, of } = open(3)
  put(control)
  expect(of(2)).toBe('/data/broker-2')
  expect(open(3).clusterId).toBe(clusterId)
  expect(open(5).clusterId).toBe(clusterId)
  expect(() => open(3)).toThrow(/cluster of 5 brokers/)
})

test('it is open once', () => {
  const { world } = setUp()
  openClusterDirectory(world, '/data', 3)
  expect(() => openClusterDirectory(world, '/data', 3)).toThrow(/in use/)
})

test('one broker’s directory, and what is not ours, are left alone', () => {
  const { world, put } = setUp()
  DataDirectory.open(world, '/alone', brokerId(0)).release()
  expect(() => openClusterDirectory(world, '/alone', 3)).toThrow(/one broker alone/)
  world.disk.makeDirectory('/diary')
  put('/diary/letters')
  expect(() => openClusterDirectory(world, '/diary', 3)).toThrow(/it holds letters/)
  expect(world.disk.list('/diary')).toEqual(['letters'])
})

test('a cluster’s directory is not one broker’s', () => {
  const { world, open } = setUp()
  open(3)
  expect(() => DataDirectory.open(world, '/data', brokerId(0))).toThrow(/Start it with --brokers/)
})

test('without its control store it does not begin anew, except before there was anything', () => {
  const { world, open } = setUp()
  open(3)
  open(3)
  world.disk.makeDirectory('/data/broker-1/tablets/orders-0.x')
  expect(() => open(3)).toThrow(/control\.json is missing/)
})

test('a damaged or newer cluster.json is refused', () => {
  const { world, open } = setUp()
  open(3)
  const file = world.disk.open('/data/cluster.json', 'write')
  file.truncate(3)
  expect(() => open(3)).toThrow(/damaged/)
  file.truncate(0)
  file.write([Buffer.from('{"formatVersion":2,"clusterId":"x","brokers":3}')], 0)
  expect(() => open(3)).toThrow(/format 2/)
})

test('a cluster.json that is lost is written again from what else is known', () => {
  const { world, open, put } = setUp()
  const { clusterId, control, of } = open(3)
  put(control)
  for (const id of [0, 1, 2]) DataDirectory.open(world, of(id), brokerId(id), clusterId).release()
  const text = JSON.stringify({ formatVersion: 1, clusterId, brokers: 3 })
  const remedy = (): string | undefined => {
    try {
      open(3)
    } catch (error) {
      return (error as Failure).todo
    }
    return undefined
  }
  const file = world.disk.open('/data/cluster.json', 'write')
  file.truncate(3)
  expect(remedy()).toContain(`echo '${text}' > '/data/cluster.json'`)
  world.disk.rename('/data/cluster.json', '/elsewhere')
  expect(remedy()).toContain(text)
  world.disk.open('/data/cluster.json', 'create').write([Buffer.from(text)], 0)
  expect(open(3).clusterId).toBe(clusterId)
})

test('a start waits for the brokers of an earlier one to end, and not for ever', async () => {
  const { world, clock } = simWorld({ seed: 1 })
  const paths = ['/data/broker-0', '/data/broker-1', '/data/broker-2']
  const held = paths.slice(0, 2).map((path, id) => DataDirectory.open(world, path, brokerId(id)))
  let ended = false
  const woken: number[] = []
  world.disk.open('/data/broker-1.pid', 'create').write([Buffer.from('4711\n')], 0)
  const waiting = othersEnded(world, paths, pid => woken.push(pid)).then(() => (ended = true))
  await clock.runFor(5_000)
  expect(ended).toBe(false)
  expect(woken).toEqual([4711])
  for (const directory of held) directory.release()
  await clock.runFor(100)
  expect(ended).toBe(true)
  await waiting
  for (const [id, path] of paths.entries()) DataDirectory.open(world, path, brokerId(id))
  await clock.finish(othersEnded(world, paths, () => undefined))
})
