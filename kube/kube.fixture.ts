/** A simulated API server with processes around it, for the tests of this folder. */
import type { Clock } from '../base/world.ts'
import { SimClock } from '../test/sim/clock.ts'
import { SimKube } from '../test/sim/kube.ts'
import { Seeded } from '../test/sim/seeded.ts'
import type { Log } from './log.ts'
import type { ConfigMap } from './resources.ts'

type Line = { readonly level: string; readonly message: string; readonly err?: unknown }

export function simKube(seed: number) {
  const time = new SimClock(Date.UTC(2026, 0, 1))
  const clock = time.clockOf({ alive: true })
  const random = new Seeded(seed)
  const server = new SimKube({ clock, random: random.fork() })
  const lines: Line[] = []
  const write =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      lines.push({ ...fields, level, message })
    }
  const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  return { time, clock, random, server, lines, log }
}

/** A clock that runs `rate` times as fast, and began at another moment. */
export const skewed = (clock: Clock, rate: number, offsetMs: number): Clock => ({
  nowMs: () => clock.nowMs() * rate + offsetMs,
  monotonicMs: () => clock.monotonicMs() * rate + offsetMs,
  after: (delayMs, act) => clock.after(delayMs / rate, act),
  endOfTurn: act => clock.endOfTurn(act),
})

export const configMap = (
  name: string,
  n: string,
  labels: Readonly<Record<string, string>> = {},
): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', labels },
  data: { n },
})
