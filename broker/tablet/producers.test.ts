import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { offset } from '../../base/quantities.ts'
import { placeBatch } from '../../protocol/kafka/record-batch.ts'
import { simWorld } from '../../test/sim/world.ts'
import { batchOf } from '../log/log.fixture.ts'
import { Producers } from './producers.ts'

const largest = 2 ** 31 - 1

type Sent = { id?: number; epoch?: number; first: number; count?: number }

const batchFrom = ({ id = 7, epoch = 0, first, count = 1 }: Sent, at = 0): Buffer => {
  const batch = batchOf({ count, bytes: 0, producer: { id, epoch, baseSequence: first } })
  placeBatch(batch, 0, at, 0)
  return batch
}

/** Producers whose batches go to offsets that rise, as a tablet gives them. */
class Ledger {
  readonly producers: Producers
  next = 0
  nowMs = 1000

  constructor(producers = new Producers()) {
    this.producers = producers
  }

  check(sent: Sent) {
    return this.producers.check(batchFrom(sent), 0)
  }

  stage(sent: Sent): number {
    const at = this.next
    this.producers.append(batchFrom(sent, at), 0, this.nowMs)
    this.next += sent.count ?? 1
    return at
  }

  write(...all: Sent[]): void {
    for (const sent of all) this.stage(sent)
    this.producers.written()
  }
}

describe('a producer', () => {
  test('that is not known may begin with any number', () => {
    const ledger = new Ledger()
    expect(ledger.check({ first: 0 })).toBe('next')
    expect(ledger.check({ first: 4711 })).toBe('next')
    ledger.write({ first: 4711, count: 3 })
    expect(ledger.check({ first: 4714 })).toBe('next')
  })

  test('goes on where its last batch ended, and nowhere else', () => {
    const ledger = new Ledger()
    ledger.write({ first: 0, count: 3 })
    expect(ledger.check({ first: 3 })).toBe('next')
    for (const first of [2, 4, 100]) expect(ledger.check({ first })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  test('without idempotence is never asked', () => {
    const ledger = new Ledger()
    const batch = batchOf({})
    ledger.producers.append(batch, 0, 0)
    expect([ledger.producers.check(batch, 0), ledger.producers.count]).toEqual(['next', 0])
  })

  test('that repeats one of its last five batches is told where that one stands', () => {
    const ledger = new Ledger()
    for (let i = 0; i < 8; i++) ledger.write({ first: i * 2, count: 2 })
    for (let i = 3; i < 8; i++)
      expect(ledger.check({ first: i * 2, count: 2 })).toMatchObject({
        baseOffset: i * 2,
        lastOffset: i * 2 + 1,
      })
    expect(ledger.check({ first: 4, count: 2 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    // The same beginning and another end is no repetition.
    expect(ledger.check({ first: 14, count: 1 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  test('that repeats a batch of this turn is told too, and more than five wait in one turn', () => {
    const ledger = new Ledger()
    for (let i = 0; i < 7; i++) ledger.stage({ first: i })
    expect(ledger.check({ first: 6 })).toMatchObject({ baseOffset: 6 })
    expect(ledger.check({ first: 2 })).toMatchObject({ baseOffset: 2 })
    expect(ledger.check({ first: 1 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(ledger.check({ first: 7 })).toBe('next')
  })

  test('counts to 2^31 - 1 and then from 0 again, also within a batch', () => {
    const ledger = new Ledger()
    ledger.write({ first: largest - 1, count: 2 })
    expect(ledger.check({ first: 0 })).toBe('next')
    expect(ledger.check({ first: 1 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    const across = new Ledger()
    across.write({ first: largest - 1, count: 4 })
    expect(across.check({ first: 2 })).toBe('next')
    expect(across.check({ first: largest - 1, count: 4 })).toMatchObject({
      firstSequence: largest - 1,
      lastSequence: 1,
    })
  })

  test('begins at 0 in a new epoch, and the old one is fenced', () => {
    const ledger = new Ledger()
    ledger.write({ first: 0, count: 5 })
    expect(ledger.check({ epoch: 1, first: 5 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(ledger.check({ epoch: 1, first: 0 })).toBe('next')
    ledger.write({ epoch: 1, first: 0 })
    expect(ledger.check({ epoch: 0, first: 5 })).toBe('INVALID_PRODUCER_EPOCH')
    expect(ledger.check({ epoch: 0, first: 0, count: 5 })).toBe('INVALID_PRODUCER_EPOCH')
    expect(ledger.check({ epoch: 1, first: 1 })).toBe('next')
    expect(ledger.check({ id: 8, first: 9 })).toBe('next')
  })
})

describe('after a write that failed', () => {
  test('nothing of it is remembered', () => {
    const ledger = new Ledger()
    ledger.write({ first: 0 })
    const before = ledger.next
    for (let i = 1; i < 9; i++) ledger.stage({ first: i })
    ledger.stage({ id: 8, first: 0 })
    ledger.producers.discardFrom(offset(before))
    expect(ledger.check({ first: 1 })).toBe('next')
    expect(ledger.check({ first: 0 })).toMatchObject({ baseOffset: 0 })
    expect(ledger.producers.count).toBe(1)
    expect(ledger.check({ id: 8, first: 3 })).toBe('next')
  })

  test.each([1, 2, 3])('%d new epochs of it are taken back, with what the old one knew', bumps => {
    const ledger = new Ledger()
    ledger.write({ first: 0 }, { first: 1 })
    const before = ledger.next
    ledger.stage({ first: 2 })
    for (let epoch = 1; epoch <= bumps; epoch++) {
      ledger.stage({ epoch, first: 0 })
      ledger.stage({ epoch, first: 1 })
    }
    ledger.producers.discardFrom(offset(before))
    expect(ledger.check({ first: 2 })).toBe('next')
    expect(ledger.check({ first: 1 })).toMatchObject({ baseOffset: 1 })
    expect(ledger.check({ first: 3 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(ledger.check({ epoch: 1, first: 0 })).toBe('next')
  })

  test('what was never written has no earlier epoch to go back to', () => {
    const ledger = new Ledger()
    ledger.stage({ first: 0 })
    ledger.stage({ epoch: 1, first: 0 })
    ledger.producers.discardFrom(offset(0))
    expect(ledger.producers.count).toBe(0)
  })
})

test('expire when they were silent for long, but not while they have something unwritten', () => {
  const ledger = new Ledger()
  ledger.write({ id: 1, first: 0 })
  ledger.nowMs = 2000
  ledger.write({ id: 2, first: 0 })
  ledger.producers.expire(1000)
  expect(ledger.producers.count).toBe(2)
  ledger.producers.expire(1001)
  expect(ledger.producers.count).toBe(1)
  ledger.stage({ id: 3, first: 0 })
  ledger.producers.expire(5000)
  expect(ledger.producers.count).toBe(1)
})

test('have a bound: those silent longest make room', () => {
  const ledger = new Ledger()
  const batch = batchFrom({ first: 0 })
  for (let id = 0; id <= 100_000; id++) {
    batch.writeUInt32BE(id, 47)
    ledger.producers.append(batch, 0, 1000 + id)
    if (id % 1000 === 0) ledger.producers.written()
  }
  ledger.producers.written()
  expect(ledger.producers.count).toBeLessThanOrEqual(100_000)
  expect(ledger.producers.count).toBeGreaterThan(80_000)
  expect(ledger.check({ id: 100_000, first: 5 })).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  expect(ledger.check({ id: 0, first: 5 })).toBe('next')
})

const saved = async (ledger: Ledger) => {
  const sim = simWorld({ seed: 1 })
  sim.world.disk.makeDirectory('/t')
  await sim.clock.finish(ledger.producers.save(sim.world.disk, '/t', offset(ledger.next), 0))
  return sim
}

describe('a snapshot', () => {
  test('brings back the same answers, and goes on as a replay of the log would', async () => {
    const step = fc.record({ id: fc.nat(3), bump: fc.nat(9), count: fc.integer({ min: 1, max: 3 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), fc.nat(40), async (steps, at) => {
        const ledger = new Ledger()
        const replayed = new Ledger()
        const known = new Map<number, { epoch: number; first: number }>()
        const sent: Required<Sent>[] = []
        let restored: Ledger | undefined
        for (const [i, { id, bump, count }] of steps.entries()) {
          const before = known.get(id) ?? { epoch: 0, first: largest - 2 }
          const now = bump === 0 ? { epoch: before.epoch + 1, first: 0 } : before
          const next = { id, count, ...now }
          for (const one of [ledger, replayed, restored]) one?.write(next)
          sent.push(next)
          known.set(id, { epoch: now.epoch, first: (now.first + count) % 2 ** 31 })
          if (i !== at % steps.length) continue
          const sim = await saved(ledger)
          sim.crash('lose')
          const producers = Producers.open(sim.world.disk, '/t', offset(ledger.next), 0)
          expect(producers).toBeDefined()
          restored = new Ledger(producers)
          restored.next = ledger.next
        }
        for (const asked of sent) {
          const due = replayed.check(asked)
          expect([ledger.check(asked), restored?.check(asked)]).toEqual([due, due])
        }
      }),
      { numRuns: 50 },
    )
  })

  test('that is not the one of the recovery point goes when there is a newer one', async () => {
    const ledger = new Ledger()
    ledger.write({ first: 0 })
    const sim = await saved(ledger)
    for (let i = 1; i < 4; i++) {
      ledger.write({ first: ledger.next })
      await sim.clock.finish(ledger.producers.save(sim.world.disk, '/t', offset(ledger.next), 0))
    }
    const names = () => sim.world.disk.list('/t').map(name => Number(name.slice(0, 20)))
    expect(names()).toEqual([1, 2, 3, 4])
    await sim.clock.finish(Producers.removeOthers(sim.world.disk, '/t', offset(4), offset(3)))
    expect(names()).toEqual([3, 4])
    await sim.clock.finish(Producers.removeOthers(sim.world.disk, '/t', offset(3), offset(3)))
    expect(names()).toEqual([3])
    expect(Producers.open(sim.world.disk, '/t', offset(3), 0)?.count).toBe(1)
  })

  test.each([undefined, '', '{"version":1}', '[]', '{"producers":[{"id":1}]}'])(
    'that is %j is none',
    text => {
      const sim = simWorld({ seed: 1 })
      sim.world.disk.makeDirectory('/t')
      if (text !== undefined) {
        const file = sim.world.disk.open('/t/00000000000000000003.snapshot', 'create')
        file.write([Buffer.from(text)], 0)
      }
      expect(Producers.open(sim.world.disk, '/t', offset(3), 0)).toBeUndefined()
    },
  )
})
