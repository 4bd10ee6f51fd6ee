/** Brokers that break a rule of replication are found out: histories and checker are good for something. */
import { expect, test } from 'vitest'
import type { Offset } from '../../base/quantities.ts'
import { soundRules, type Rules } from '../../broker/replication/rules.ts'
import { complaintsOf } from './checker.ts'
import { ClusterHistory } from './cluster-history.ts'

const seedsMax = 80

const broken: Readonly<Record<string, Rules>> = {
  'acknowledges before all in sync have it': {
    ...soundRules,
    heldByAll(sets, endOf) {
      const ends = sets.flat().flatMap(member => endOf(member) ?? [])
      return ends.length === 0 ? undefined : (Math.max(...ends) as Offset)
    },
  },
  'does not cut its log back to where the leader’s is the same': { ...soundRules, cutAt: () => undefined },
  'takes a replica out of the set before the patch is known to hold': {
    ...soundRules,
    setsInForce: (committed, inFlight) => [(inFlight ?? committed).isr],
  },
  'claims a tablet although it is not in sync': { ...soundRules, mayClaim: () => true },
}

/** What is wrong with the first history in which something is. */
async function firstComplaint(rules: Rules): Promise<string | undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const history = new ClusterHistory({ seed, rules })
    try {
      await history.live()
    } catch (error) {
      return (error as Error).message
    }
    const [complaint] = complaintsOf(history.told)
    if (complaint !== undefined) return complaint
  }
  return undefined
}

test.each(Object.entries(broken))('a broker that %s', { timeout: 600_000 }, async (_what, rules) => {
  expect(await firstComplaint(rules)).toMatch(
    /OUT_OF_ORDER_SEQUENCE|high watermark of .* went from|does not hold it| is p\d+-\d+#\d and p|come to rest|holds \d+ records|stands in|ends? at/,
  )
})
