import type { Clock, Timer } from '../../base/world.ts'

/** Node runs a longer timer at once, after a warning. */
const timerMsMax = 2 ** 31 - 1

export const realClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, act) => startTimer(delayMs, act),
  endOfTurn(act) {
    if (turn.push(act) === 1) setImmediate(drain)
  },
}

/** First in, first out; what an act adds is part of the same turn. */
const turn: (() => void)[] = []

function drain(): void {
  for (let i = 0; i < turn.length; i++) turn[i]?.()
  turn.length = 0
}

function startTimer(delayMs: number, act: () => void): Timer {
  let running: NodeJS.Timeout
  const wait = (restMs: number): void => {
    const stepMs = Math.min(restMs, timerMsMax)
    running = setTimeout(() => (restMs > stepMs ? wait(restMs - stepMs) : act()), stepMs)
    running.unref()
  }
  wait(delayMs)
  return { cancel: () => clearTimeout(running) }
}
