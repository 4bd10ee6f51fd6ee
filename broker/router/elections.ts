/** Elections that users ask for, whichever door they come through: in comes a tablet, out goes the end of its election, or a refusal that says why there is none. */
import { Refusal } from '../../base/refusals.ts'
import type { Clock } from '../../base/world.ts'
import type { Router } from './router.ts'
import { canElect } from './unclean-elections.ts'

const lookMs = 20

/**
 * Resolves when the preferred leader leads.
 * @throws Refusal ELECTION_NOT_NEEDED, REQUEST_TIMED_OUT when it does later, and those of `Router.isPreferred`
 */
export async function prefer(
  router: Router,
  clock: Clock,
  topic: string,
  partition: number,
  deadlineMs: number,
): Promise<void> {
  if (router.prefer(topic, partition))
    throw new Refusal('ELECTION_NOT_NEEDED', `${topic}-${partition} is led by its preferred leader`)
  do {
    if (clock.monotonicMs() >= deadlineMs)
      throw new Refusal('REQUEST_TIMED_OUT', `${topic}-${partition} goes to its preferred leader later`)
    await new Promise<void>(resolve => clock.after(lookMs, resolve))
    // Asked for once: after a hand-over that went wrong there is a pause.
  } while (!router.isPreferred(topic, partition))
}

/**
 * Lets whoever holds most lead a tablet that nobody in sync can lead, and resolves when somebody leads in the next epoch. The word stands also when that takes longer.
 * @throws Refusal ELECTION_NOT_NEEDED, ELIGIBLE_LEADERS_NOT_AVAILABLE, and those of `allowUnclean`
 */
export async function electUnclean(
  router: Router,
  clock: Clock,
  topic: string,
  partition: number,
  deadlineMs: number,
): Promise<void> {
  const ended = await router.allowUnclean(topic, partition)
  for (;;) {
    const now = router.assignment(topic, partition)
    const { epoch, leader, found = [] } = now
    if (epoch > ended && leader !== undefined) return
    if (clock.monotonicMs() >= deadlineMs) {
      const heard = found.map(({ broker }) => broker).join(', ') || 'nobody'
      const why = canElect(now)
        ? `${topic}-${partition} gets a leader as soon as every broker that is there has said what it holds; heard so far: ${heard}`
        : `nobody who was heard of ${topic}-${partition} has any of its records (heard: ${heard})`
      throw new Refusal('ELIGIBLE_LEADERS_NOT_AVAILABLE', why)
    }
    await new Promise<void>(resolve => clock.after(lookMs, resolve))
  }
}
