// Windows of time by the clock on the wall, which all threads share: compaction works in every other one, so that appends with and without it are
// measured at the same time as nearly as can be.
const windowMs = 250
/** What was begun in one window may reach so far into the next. */
const seamMs = 30

/** How long until compaction may work; 0 in its windows. */
export const msToWork = (nowMs: number): number =>
  isWork(nowMs) ? 0 : windowMs - (Math.floor(nowMs) % windowMs)

/** Whether compaction works at this time, or undefined where one window goes over into the next. */
export function works(nowMs: number): boolean | undefined {
  return nowMs % windowMs < seamMs ? undefined : isWork(nowMs)
}

const isWork = (nowMs: number): boolean => Math.floor(nowMs / windowMs) % 2 === 0
