import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { stopSignal } from './stop-signal.ts'

function setUp() {
  const signals = new EventEmitter()
  const time = { ms: 1000 }
  const exits: number[] = []
  const stopped = stopSignal({
    on: (signal, act) => void signals.on(signal, act),
    nowMs: () => time.ms,
    exit: code => void exits.push(code),
  })
  return { signals, time, exits, stopped }
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('%s stops', async signal => {
  const { signals, stopped, exits } = setUp()
  signals.emit(signal)
  expect(await stopped).toBe(signal)
  expect(exits).toEqual([])
})

test('one Ctrl-C that arrives twice is one; a second one leaves at once', () => {
  const { signals, time, exits } = setUp()
  signals.emit('SIGINT')
  time.ms += 400
  signals.emit('SIGINT')
  expect(exits).toEqual([])
  time.ms += 200
  signals.emit('SIGTERM')
  expect(exits).toEqual([143])
})
