import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Clock } from './world.ts'
import { LimitedLog } from './limited-log.ts'

test('lines beyond the limit are counted, and told with the next one', () => {
  const lines: { msg: string; leftOut?: number }[] = []
  let nowMs = 0
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: () => ({ cancel: () => undefined }),
    endOfTurn: act => act(),
  }
  const log = new LimitedLog(
    pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    clock,
    2,
  )
  for (let n = 0; n < 5; n++) log.warn({}, `line ${n}`)
  nowMs = 10_000
  log.warn({}, 'line 5')
  log.warn({}, 'line 6')
  expect(lines.map(({ msg, leftOut }) => [msg, leftOut])).toEqual([
    ['line 0', undefined],
    ['line 1', undefined],
    ['line 5', 3],
    ['line 6', undefined],
  ])
})
