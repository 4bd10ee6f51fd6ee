import { expect, test } from 'vitest'
import { Refusal } from '../../base/refusals.ts'
import { simWorld } from '../../test/sim/world.ts'
import { Unanswered } from './unanswered.ts'

function desk() {
  const sim = simWorld({ seed: 1 })
  const unanswered = new Unanswered(sim.world.clock)
  const answers: string[] = []
  const add = (slot: number, endOffset: number, deadlineMs = Infinity, then?: () => void): void =>
    unanswered.add({
      slot,
      acks: -1,
      baseOffset: endOffset - 1,
      endOffset,
      logAppendTimeMs: -1,
      deadlineMs,
      appending: {
        appended(slot, baseOffset, _time, logStart) {
          answers.push(`${slot} at ${baseOffset} from ${logStart}`)
          then?.()
        },
        refused: (slot, refusal) => void answers.push(`${slot} ${refusal.code} ${sim.clock.monotonicMs()}`),
      },
    })
  return { sim, unanswered, answers, add }
}

test('are answered in the order of their offsets, once the high watermark has passed them', () => {
  const { unanswered, answers, add } = desk()
  for (let slot = 1; slot <= 4; slot++) add(slot, slot * 10)
  unanswered.reached(9, 3)
  expect(answers).toEqual([])
  unanswered.reached(20, 3)
  expect(answers).toEqual(['1 at 9 from 3', '2 at 19 from 3'])
  expect(unanswered.count).toBe(2)
  unanswered.reached(20, 3)
  unanswered.reached(1000, 3)
  expect(answers).toHaveLength(4)
  expect(unanswered.count).toBe(0)
})

test('thousands at a time do not pile up behind those that were answered', () => {
  const { unanswered, answers, add } = desk()
  for (let i = 1; i <= 20_000; i++) {
    add(i, i)
    if (i % 100 === 0) unanswered.reached(i - 50, 0)
  }
  unanswered.reached(20_000, 0)
  expect(answers.map(answer => Number.parseInt(answer, 10))).toEqual(
    Array.from({ length: 20_000 }, (_, i) => i + 1),
  )
})

test('are refused soon after their deadline, the others go on waiting', async () => {
  const { sim, unanswered, answers, add } = desk()
  add(1, 10, 1000)
  add(2, 20, 600)
  add(3, 30, 5000)
  await sim.clock.runFor(599)
  expect(answers).toEqual([])
  await sim.clock.runFor(260)
  expect(answers.map(answer => answer.split(' ').slice(0, 2).join(' '))).toEqual(['2 REQUEST_TIMED_OUT'])
  unanswered.reached(10, 0)
  await sim.clock.runFor(10_000)
  expect(answers.slice(1).map(answer => answer.split(' ')[0])).toEqual(['1', '3'])
  expect(answers[2]).toContain('REQUEST_TIMED_OUT')
})

test('nobody looks at the clock when nobody waits', async () => {
  const { sim, unanswered, add } = desk()
  add(1, 10, Infinity)
  unanswered.reached(10, 0)
  await sim.clock.runFor(1000)
  await expect(sim.clock.runUntil(() => false)).rejects.toThrow('nothing is left to happen')
})

test('all are refused when the tablet stops serving, also those that come from an answer', () => {
  const { unanswered, answers, add } = desk()
  add(1, 10, Infinity, () => add(9, 11))
  add(2, 20)
  unanswered.reached(10, 0)
  unanswered.refuseAll(new Refusal('KAFKA_STORAGE_ERROR', 'no'))
  expect(answers.map(answer => answer.split(' ').slice(0, 2).join(' '))).toEqual([
    '1 at',
    '2 KAFKA_STORAGE_ERROR',
    '9 KAFKA_STORAGE_ERROR',
  ])
  expect(unanswered.count).toBe(0)
})
