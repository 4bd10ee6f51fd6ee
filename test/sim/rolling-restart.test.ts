/** Brokers that stop in order, one after the other, under load: nothing is lost, and nobody waits. */
import { expect, test } from 'vitest'
import { soundRules } from '../../broker/replication/rules.ts'
import { complaintsOf } from './checker.ts'
import { ClusterHistory } from './cluster-history.ts'

const histories = Number(process.env['STELE_HISTORIES'] ?? 8)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)
const limits = { timeout: 120_000 }

async function complaintOf(history: ClusterHistory): Promise<string | undefined> {
  try {
    const { acknowledged, longestMs, counted } = await history.roll()
    const complaints = [...complaintsOf(history.told), ...counted]
    if (longestMs >= 1_000) complaints.push(`a write waited ${longestMs} ms`)
    if (acknowledged < 100) complaints.push(`${acknowledged} records were acknowledged`)
    return complaints[0]
  } catch (error) {
    return (error as Error).message
  }
}

const seeds = Array.from({ length: histories }, (_, i) => firstSeed + i)

test.each(seeds)(
  'a rolling restart loses nothing, and holds no write up for a second (seed %i)',
  limits,
  async seed => {
    expect(await complaintOf(new ClusterHistory({ seed }))).toBeUndefined()
  },
)

test('brokers that hand over before the successor has the whole log are found out', limits, async () => {
  const rules = { ...soundRules, mayHandOver: () => true }
  const complaints: (string | undefined)[] = []
  for (const seed of [1, 2, 3]) complaints.push(await complaintOf(new ClusterHistory({ seed, rules })))
  expect(complaints.join()).toMatch(/OUT_OF_ORDER_SEQUENCE|does not hold it| is p\d+-\d+#\d and p/)
})

test('brokers that do not say that they leave are found out', limits, async () => {
  const history = new ClusterHistory({ seed: 1 })
  history.cluster.control.forgetsLeaving = true
  expect(await complaintOf(history)).toMatch(/does not come to its stop|on \d/)
})
