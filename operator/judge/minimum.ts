import { countedReplicas } from '../../control/moves.ts'
import { dynamicConfigName } from '../../control/kubernetes/resources/names.ts'
import { judged, type JudgedTablet } from '../../control/kubernetes/standing.ts'
import { topicRows } from '../../control/settings/definitions.ts'
import type { Seen } from '../observe/seen.ts'

const setting = topicRows.minInsyncReplicas.broker

/**
 * The tablets that would have fewer replicas in sync than acks=all needs while broker `id` is away, and would not if their other replicas
 * were in sync, as `orders-0`. Those that can never spare it are not among them, nor those that are not served.
 */
export function waitingToSpare(seen: Seen, id: number): string[] {
  const { cluster, configMaps, topicViews, standings } = seen
  const dynamic = configMaps.get(dynamicConfigName(cluster.metadata.name))?.data?.[setting]
  const broker = dynamic ?? cluster.spec.config?.[setting]
  return topicViews
    .filter(({ takenBy }) => takenBy === undefined)
    .flatMap(({ topic, slices }) => {
      const wanted = Number(topic.spec.config?.[setting] ?? broker ?? 1)
      const least = Number.isInteger(wanted) && wanted > 0 ? wanted : 1
      return slices
        .flatMap(slice => judged(slice, standings))
        .filter(tablet => mustWait(tablet, id, least))
        .map(tablet => `${tablet.topic}-${tablet.number}`)
    })
}

function mustWait(tablet: JudgedTablet, id: number, least: number): boolean {
  const { live, replicas } = tablet
  const isWhole = live.length >= replicas.length
  const others = live.filter(broker => broker !== id).length
  return !isWhole && others < live.length && others < Math.min(least, countedReplicas(tablet))
}
