/**
 * What is to be written, decided purely: what was seen of one LogCluster enters, the steps leave, in the order in which they are done.
 * What always holds: where everything is as it is wanted there are no steps, and no step loses data.
 */
import { annotations } from '../../control/kubernetes/resources/names.ts'
import { isGoing } from '../observe/members.ts'
import type { Observed } from '../observe/observed.ts'
import { see, type Seen } from '../observe/seen.ts'
import { topicsOf } from '../../control/kubernetes/ownership.ts'
import { belong } from './rules/belong.ts'
import { brokers } from './rules/brokers.ts'
import { elections } from './rules/elections.ts'
import { followTools } from './rules/follow-tools.ts'
import { furnish } from './rules/furnish.ts'
import { leave } from './rules/leave.ts'
import { moves } from './rules/moves.ts'
import { farewell } from './rules/farewell.ts'
import { relabel } from './rules/relabel.ts'
import { replaceBroken } from './rules/replace-broken.ts'
import { replaceLost } from './rules/replace-lost.ts'
import { roll } from './rules/roll.ts'
import { tablets } from './rules/tablets.ts'
import { topics } from './rules/topics.ts'
import { volumes } from './rules/volumes.ts'
import type { Step } from './step.ts'

type Rule = (seen: Seen) => Step[]

/** Volumes before what needs them; healing before placing; placing before brokers go; restarts last. */
const rules: readonly Rule[] = [
  volumes,
  furnish,
  brokers,
  belong,
  relabel,
  replaceBroken,
  replaceLost,
  ({ topicViews, orphans }) => topics({ views: topicViews, orphans }),
  tablets,
  elections,
  followTools,
  moves,
  leave,
  roll,
]

/** The steps by rule: those of one rule may be done side by side, those of the next one after them. */
export function plan(observed: Observed): Step[][] {
  const { cluster } = observed
  if (cluster !== undefined && isPaused(cluster)) return []
  // A LogCluster of the same name waits until what the one before left is gone: or it would begin with half of it.
  const removal = farewell(observed)
  if (removal !== undefined) return [removal].filter(some)
  if (cluster === undefined) return [topics(topicsOf(observed))].filter(some)
  if (isGoing(cluster)) return []
  const seen = see(observed, cluster)
  return rules.map(rule => rule(seen)).filter(some)
}

const some = (steps: readonly Step[]): boolean => steps.length > 0

export const isPaused = ({ metadata }: NonNullable<Observed['cluster']>): boolean =>
  metadata.annotations?.[annotations.paused] === 'true'
