/** What queues are at, by group. */
import type { Clock } from '../../../base/world.ts'
import type { Queue } from '../../queues/queue.ts'
import type { Queues } from '../../queues/queues.ts'
import { escaped } from './group-metrics.ts'

/** So many queues are written down in one turn of the event loop. */
const queuesPerTurn = 500

export const queueFamilies: readonly {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly value: (queue: Queue) => number
}[] = [
  {
    name: 'stele_queue_consumers',
    type: 'gauge',
    help: 'HTTP consumers of the group.',
    value: queue => queue.size,
  },
  {
    name: 'stele_queue_unacknowledged_records',
    type: 'gauge',
    help: 'Records that HTTP consumers of the group were handed and have not acknowledged.',
    value: queue => queue.unacknowledged,
  },
  {
    name: 'stele_queue_redeliveries_total',
    type: 'counter',
    help: 'Records handed out again because they were not acknowledged, since the group has HTTP consumers.',
    value: queue => queue.redeliveries,
  },
]

export async function renderQueues(clock: Clock, queues: Queues): Promise<string> {
  const all = [...queues.all()]
  const parts: string[] = []
  for (const { name, type, help, value } of queueFamilies) {
    parts.push(`\n# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`)
    for (let from = 0; from < all.length; from += queuesPerTurn) {
      for (const queue of all.slice(from, from + queuesPerTurn))
        parts.push(`${name}{consumergroup="${escaped(queue.group)}"} ${value(queue)}\n`)
      await new Promise<void>(turned => clock.endOfTurn(turned))
    }
  }
  return parts.join('')
}
