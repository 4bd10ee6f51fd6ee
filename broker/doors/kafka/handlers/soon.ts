import { Refusal } from '../../../../base/refusals.ts'
import type { Clock } from '../../../../base/world.ts'

/** Whoever needs a topic that is made for him waits so long for it, and asks again: in Kafka he does not wait at all. */
export const soonMs = 500

/** What `work` comes to when that is before `untilMs` (monotonic); otherwise rejects with `otherwise`, and the work goes on. */
export async function soon<T>(
  clock: Clock,
  untilMs: number,
  work: Promise<T>,
  otherwise: Refusal,
): Promise<T> {
  const late = Promise.withResolvers<never>()
  let isLate = false
  const timer = clock.after(Math.max(0, untilMs - clock.monotonicMs()), () => {
    isLate = true
    late.reject(otherwise)
  })
  work.catch((error: unknown) => {
    // Nobody waits for it any more: who asks again is told, unless it is our own fault.
    if (isLate && !(error instanceof Refusal)) throw error
  })
  try {
    return await Promise.race([work, late.promise])
  } finally {
    timer.cancel()
  }
}
