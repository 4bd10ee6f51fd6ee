/** Random histories of a whole cluster, each judged by the checker. `make histories` lives many more. */
import { expect, test } from 'vitest'
import { lives } from '../histories/lives.ts'

const histories = Number(process.env['STELE_HISTORIES'] ?? 20)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)

test(`${histories} histories of a cluster keep what was promised`, { timeout: 3_600_000 }, async () => {
  let acknowledged = 0
  for (let seed = firstSeed; seed < firstSeed + histories; seed++)
    acknowledged += (await lives.cluster(seed)).acknowledged
  expect(acknowledged).toBeGreaterThan(histories * 20)
})
