// Waits for conditions. What does not come true in time is an error that says what was waited for, and why it is not so.
import { setTimeout as sleep } from 'node:timers/promises'

interface Patience {
  limitMs?: number
  everyMs?: number
  /** True when there is nothing left to wait for. */
  lost?: () => Promise<boolean>
  /** What helps to see why it did not come true, such as the tail of a log. */
  explain?: () => Promise<string>
}

/** Asks `holds` until it says true. Throws when that takes longer than `limitMs`; an error of `holds` means "not yet". */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  { limitMs = 60_000, everyMs = 50, lost, explain }: Patience = {},
): Promise<void> {
  const started = Date.now()
  let reason = ''
  for (;;) {
    try {
      if (await holds()) return
      reason = ''
    } catch (error) {
      reason = `: ${String(error)}`
    }
    if (Date.now() > started + limitMs || (await lost?.()) === true) break
    await sleep(everyMs)
  }
  const seconds = Math.round((Date.now() - started) / 1000)
  throw new Error(`gave up on ${what} after ${seconds} s${reason}${await explained(explain)}`)
}

const explained = async (explain?: () => Promise<string>): Promise<string> =>
  explain === undefined ? '' : `\n${await explain()}`
