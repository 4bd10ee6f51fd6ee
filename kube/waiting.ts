/** How long to wait, and waiting itself. */
import type { Clock, Random } from '../base/world.ts'

export type BackOff = { readonly firstMs: number; readonly maxMs: number }

/** A fraction in [0, 1). */
const fraction = (random: Random): number => random.bytes(4).readUInt32BE() / 2 ** 32

/** `ms` or up to half as much again, so that many do not act at once. */
export const jittered = (ms: number, random: Random): number => ms * (1 + fraction(random) / 2)

/** Milliseconds to wait after the `failures`-th failure in a row: doubled each time up to the most, of which the lower half is left to chance. */
export function backOffMs({ firstMs, maxMs }: BackOff, failures: number, random: Random): number {
  const ms = Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(0, failures - 1), 30))
  return ms / 2 + (fraction(random) * ms) / 2
}

/** Resolves after `delayMs`, or at once when `signal` is aborted. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) {
      resolve()
      return
    }
    const end = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.after(delayMs, end)
    signal.addEventListener('abort', end)
  })
}
