import { Session } from 'node:inspector'
import { afterAll, afterEach, expect, test, vi } from 'vitest'

/** V8 counts how often each block of code runs, when it was told so before the code was loaded. */
const v8 = new Session()
v8.connect()
v8.post('Profiler.enable')
v8.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
const { SimQueues } = await import('./queues.fixture.ts')
const { Window } = await import('./window.ts')
afterAll(() => v8.disconnect())
afterEach(() => void vi.restoreAllMocks())

/** How often the blocks of a file of this folder ran in `act`, together. */
function steps(file: string, act: () => void): number {
  const take = (): number => {
    let sum = 0
    v8.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error !== null) throw error
      for (const { url, functions } of taken.result)
        if (url.endsWith(`/broker/queues/${file}`))
          for (const { ranges } of functions) for (const { count } of ranges) sum += count
    })
    return sum
  }
  take()
  act()
  return take()
}

const partitions = 20
const inPartition = 200

async function start() {
  const all = await SimQueues.start({ partitions })
  const records = Array.from({ length: inPartition }, (_, n) => `${n}`)
  const write = async (): Promise<void> => {
    for (let partition = 0; partition < partitions; partition++) await all.write(partition, records)
  }
  return { all, write }
}

test('a consumer that goes costs as much as what it held, not as what all hold', async () => {
  const { all, write } = await start()
  const greedy = await all.consumer('g', { maxUnacknowledged: partitions * inPartition })
  await write()
  const modest = await all.consumer('g')
  expect(await all.receive(modest, 1)).toHaveLength(1)
  for (let held = 1; held < partitions * inPartition;)
    held += (await all.receive(greedy, partitions * inPartition)).length
  const idle = await all.consumer('g')
  const { queue } = greedy
  const others = await all.consumer('g')
  const waiting = all.receiving(others, 1, 20_000)
  await all.sim.clock.runFor(1_000)
  const looks = vi.spyOn(Window.prototype, 'wanted')

  expect(steps('window.ts', () => queue.remove(idle.consumer))).toBe(0)
  await all.sim.clock.runFor(10)
  expect(looks, 'nobody is woken by who held nothing').not.toHaveBeenCalled()

  const few = steps('window.ts', () => queue.remove(modest.consumer))
  expect(few).toBeLessThan(10 * partitions)
  expect(await all.done(waiting)).toHaveLength(1)

  const many = steps('window.ts', () => queue.remove(greedy.consumer))
  expect(many, 'steps are counted').toBeGreaterThan(partitions * inPartition - 1)
})

test('partitions that nothing happens to cost nothing: neither with each heartbeat, nor when another has a record', async () => {
  const { all } = await start()
  const one = await all.consumer()
  const waiting = all.receiving(one, 1, 120_000)
  await all.sim.clock.runFor(5_000)
  const looks = vi.spyOn(Window.prototype, 'wanted')
  await all.sim.clock.runFor(60_000)
  expect(looks).not.toHaveBeenCalled()
  await all.write(7, ['a'])
  expect(await all.done(waiting)).toHaveLength(1)
  expect(looks.mock.calls.length).toBeGreaterThan(0)
  expect(new Set(looks.mock.contexts.map(context => (context as { partition: number }).partition))).toEqual(
    new Set([7]),
  )
})
