/** Where the window of a partition begins: where the group has committed, or where its consumers say when it never has. */
import type { Logger } from 'pino'
import type { Random } from '../../base/world.ts'
import type { Router } from '../router/router.ts'
import type { Consumer } from './consumer.ts'
import type { Room } from './room.ts'
import type { Source } from './source.ts'
import { Window } from './window.ts'

export type Opening = {
  readonly group: string
  readonly router: Router
  readonly random: Random
  readonly room: Room
  readonly log: Logger
  /** The oldest one that reads the topic says where to begin when nothing else does. */
  readonly consumers: Iterable<Consumer>
}

/** @throws Refusal when the group's offsets cannot be asked for */
export function openWindow(source: Source, opening: Opening): Window {
  const { group, router, random, room, log } = opening
  const { topic, topicId, partition, logStart, logEnd, highWatermark } = source
  const committed = router.groups.of(group).find(group)?.offsets.get(topic, partition)?.offset
  const reset = offsetResetOf(topic, opening) === 'earliest' ? logStart : highWatermark
  const isThere = committed !== undefined && committed <= logEnd
  if (committed !== undefined && (!isThere || committed < logStart)) {
    log.warn(
      { topic, partition, committed, logStart, logEnd },
      'the committed offset is not in the log any more',
    )
  }
  const start = isThere ? Math.max(committed, logStart) : reset
  const id = random.bytes(9).toString('base64url')
  return new Window({ id, topic, topicId, partition }, { start, durable: committed ?? -1, room })
}

function offsetResetOf(topic: string, { consumers }: Opening): Consumer['offsetReset'] {
  for (const { topics, offsetReset } of consumers) if (topics.includes(topic)) return offsetReset
  return 'earliest'
}
