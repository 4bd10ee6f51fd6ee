import { countedReplicas } from '../../control/moves.ts'
import { topicRows } from '../../control/settings/definitions.ts'
import { dynamicConfigName } from '../../control/kubernetes/resources/names.ts'
import type { SliceTablet } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { Seen } from '../observe/seen.ts'

const setting = topicRows.minInsyncReplicas.broker

/**
 * How many tablets would have fewer replicas in sync than acks=all needs while broker `id` is away, and would not if their other replicas
 * were in sync. Those that can never spare it are not among them.
 */
export function waitingToSpare(seen: Seen, id: number): number {
  const { cluster, configMaps, topicViews, slices } = seen
  const dynamic = configMaps.get(dynamicConfigName(cluster.metadata.name))?.data?.[setting]
  const broker = dynamic ?? cluster.spec.config?.[setting]
  const own = new Map(topicViews.map(({ id: topicId, topic }) => [topicId, topic.spec.config?.[setting]]))
  let count = 0
  for (const { topic, tablets } of slices.values()) {
    const wanted = Number(own.get(topic.id) ?? broker ?? 1)
    const least = Number.isInteger(wanted) && wanted > 0 ? wanted : 1
    for (const tablet of tablets) if (mustWait(tablet, id, least)) count += 1
  }
  return count
}

function mustWait(tablet: SliceTablet, id: number, least: number): boolean {
  const { isr, replicas } = tablet
  const isWhole = isr.length >= replicas.length
  const others = isr.filter(({ broker }) => broker !== id).length
  return !isWhole && others < isr.length && others < Math.min(least, countedReplicas(tablet))
}
