/** The kinds of random histories: in comes a seed, out comes what was lived, or what was wrong. */
import { complaintsOf } from '../sim/checker.ts'
import { ClusterHistory } from '../sim/cluster-history.ts'
import { FailoverHistory } from '../sim/failover-history.ts'

export type Lived = {
  /** Records, or commits of groups. */
  readonly acknowledged: number
  /** How often what was done to it. */
  readonly done: Readonly<Record<string, number>>
}

export const lives = {
  /** Copies of tablets, and who reads and writes them. */
  async cluster(seed: number): Promise<Lived> {
    const history = new ClusterHistory({ seed })
    return told(seed, history.deeds, async () => {
      const acknowledged = await history.live()
      const complaints = complaintsOf(history.told)
      if (complaints.length > 0) throw new Error(complaints.join('\n'))
      return { acknowledged, done: Object.fromEntries(history.done) }
    })
  },
  /** Groups, and the coordinators that they move between. */
  async groups(seed: number): Promise<Lived> {
    const history = new FailoverHistory(seed)
    return told(seed, history.deeds, async () => {
      await history.live()
      const witnesses = [...history.witnesses.values()]
      return {
        acknowledged: witnesses.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
        done: Object.fromEntries(history.done),
      }
    })
  },
}

export type Kind = keyof typeof lives

export const repeat = (seed: number): string => `make histories HISTORIES=1 STELE_SEED=${seed}`

/** @throws Error that says what was done and how to see it again */
async function told(seed: number, deeds: readonly string[], live: () => Promise<Lived>): Promise<Lived> {
  try {
    return await live()
  } catch (cause) {
    throw new Error(`repeat with: ${repeat(seed)}\n${deeds.join('\n')}`, { cause })
  }
}
