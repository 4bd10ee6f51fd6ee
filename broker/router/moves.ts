/** Moves of replicas as users ask for them: in come targets, out go guarded changes that begin them. The leaders end them. */
import type { BrokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { sliceTablets, type TabletChange, type Topic } from '../../control/model.ts'
import { movedBack, movedTo, targetOf } from '../../control/moves.ts'
import type { ControlStore } from '../../control/store.ts'

export type WantedMove = {
  readonly partition: number
  /** Undefined takes back what is under way. */
  readonly target: readonly BrokerId[] | undefined
  /** Whether there may be more replicas after it, or fewer. */
  readonly mayResize: boolean
}

/** Leaders write the same tablets; so often somebody else may be first. */
const triesMax = 10

/**
 * Why single partitions were refused: UNKNOWN_TOPIC_OR_PARTITION, NO_REASSIGNMENT_IN_PROGRESS, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR;
 * REQUEST_TIMED_OUT where it is not known whether the move begins.
 */
export async function moveReplicas(
  store: ControlStore,
  { id }: Topic,
  wanted: readonly WantedMove[],
): Promise<ReadonlyMap<number, Refusal>> {
  const refused = new Map<number, Refusal>()
  for (const of of Map.groupBy(wanted, ({ partition }) => Math.floor(partition / sliceTablets)).values()) {
    for (let tries = 1; ; tries++) {
      const changes = of.flatMap(move => {
        if (refused.has(move.partition)) return []
        const change = changeOf(store, id, move)
        if (!(change instanceof Refusal)) return change ?? []
        refused.set(move.partition, change)
        return []
      })
      const answer = changes.length === 0 ? 'changed' : await store.changeTablets(id, changes)
      if (answer === 'changed') break
      if (answer === 'refused' && tries < triesMax) continue
      const why = `it is not known whether the replicas begin to move: list what moves`
      for (const { tablet } of changes) refused.set(tablet, new Refusal('REQUEST_TIMED_OUT', why))
      break
    }
  }
  return refused
}

/** Undefined when there is nothing to change. */
function changeOf(
  store: ControlStore,
  id: string,
  { partition, target, mayResize }: WantedMove,
): TabletChange | Refusal | undefined {
  const topic = store.topicById(id)
  const now = topic?.tablets[partition]
  if (now === undefined)
    return new Refusal(
      'UNKNOWN_TOPIC_OR_PARTITION',
      `${topic?.name ?? 'the topic'} has no partition ${partition}`,
    )
  const places = target === undefined ? movedBack(now) : movedTo(now, target)
  if (target === undefined && places === undefined)
    return new Refusal('NO_REASSIGNMENT_IN_PROGRESS', `no replica of partition ${partition} moves`)
  const refusal = target && fault(store, partition, target, mayResize ? undefined : targetOf(now).length)
  if (refusal !== undefined || places === undefined) return refusal
  const { epoch, version } = now
  return { tablet: partition, test: { epoch, version }, to: { ...now, ...places, version: version + 1 } }
}

function fault(
  store: ControlStore,
  partition: number,
  target: readonly BrokerId[],
  count: number | undefined,
): Refusal | undefined {
  const refuse = (message: string) => new Refusal('INVALID_REPLICA_ASSIGNMENT', message)
  const brokers = store.brokers()
  const unknown = target.find(id => !brokers.has(id))
  if (target.length === 0) return refuse(`partition ${partition} would be on no broker`)
  if (new Set(target).size < target.length) return refuse(`partition ${partition} names a broker twice`)
  if (unknown !== undefined)
    return refuse(
      `partition ${partition} would be on broker ${unknown}; there are brokers ${[...brokers.keys()].toSorted((a, b) => a - b).join(', ')}`,
    )
  return count === undefined || count === target.length
    ? undefined
    : new Refusal(
        'INVALID_REPLICATION_FACTOR',
        `partition ${partition} has ${count} replicas, and would have ${target.length}`,
      )
}
