import { expect, test } from 'vitest'
import { append, makeTopic, startSimBroker, tabletOf } from '../../test/sim/broker.ts'
import { simWorld } from '../../test/sim/world.ts'
import { batchOf } from '../log/log.fixture.ts'

const sent = (first: number): Buffer => batchOf({ producer: { id: 5, epoch: 0, baseSequence: first } })

test.each([
  ['can', 'OUT_OF_ORDER_SEQUENCE_NUMBER', []],
  ['cannot', 'KAFKA_STORAGE_ERROR', ['truncate']],
] as const)(
  'a batch that begins a segment is refused with those before it whose write fails; the file %s be cut back',
  async (_, later, alsoFails) => {
    const sim = simWorld({ seed: 3 })
    const broker = await sim.clock.finish(startSimBroker(sim))
    await sim.clock.finish(makeTopic(broker, 't', { 'segment.bytes': String(2 * sent(0).length) }))
    const tablet = tabletOf(broker, 't')
    await sim.clock.finish(append(tablet, sent(0), 1))
    sim.disk.failNext('write', 'EIO', /\.log$/)
    for (const call of alsoFails) sim.disk.failNext(call, 'EIO', /\.log$/)
    const together = await sim.clock.finish(
      Promise.all([append(tablet, sent(1), 1), append(tablet, sent(2), 1)]),
    )
    expect(together).toMatchObject([
      { refusal: { code: 'KAFKA_STORAGE_ERROR' } },
      { refusal: { code: 'KAFKA_STORAGE_ERROR' } },
    ])
    expect(tablet.logEnd).toBe(1)
    expect(await sim.clock.finish(append(tablet, sent(2), 1))).toMatchObject({ refusal: { code: later } })
  },
)
