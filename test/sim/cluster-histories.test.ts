/** Random histories of a whole cluster, each judged by the checker. */
import { expect, test } from 'vitest'
import { complaintsOf } from './checker.ts'
import { ClusterHistory } from './cluster-history.ts'

const histories = Number(process.env['STELE_HISTORIES'] ?? 40)
const firstSeed = Number(process.env['STELE_SEED'] ?? 1)

async function live(seed: number): Promise<number> {
  const history = new ClusterHistory({ seed })
  try {
    const acknowledged = await history.live()
    const complaints = complaintsOf(history.told)
    if (complaints.length > 0) throw new Error(complaints.join('\n'))
    return acknowledged
  } catch (cause) {
    throw new Error(
      `repeat with: STELE_SEED=${seed} STELE_HISTORIES=1 npx vitest run --project unit test/sim/cluster-histories.test.ts\n${history.deeds.join('\n')}`,
      { cause },
    )
  }
}

test(`${histories} histories of a cluster keep what was promised`, { timeout: 3_600_000 }, async () => {
  let acknowledged = 0
  for (let seed = firstSeed; seed < firstSeed + histories; seed++) acknowledged += await live(seed)
  expect(acknowledged).toBeGreaterThan(histories * 20)
})
