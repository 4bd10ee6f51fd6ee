/** What queues are at, by group. */
import type { Queue } from '../../queues/queue.ts'
import type { Queues } from '../../queues/queues.ts'
import { escaped } from './group-metrics.ts'

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

/** All queues of this broker, as Prometheus reads them, a line at a time. */
export function* queueLines(queues: Queues): Generator<string, void> {
  for (const { name, type, help, value } of queueFamilies) {
    yield `\n# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    for (const queue of queues.all())
      yield `${name}{consumergroup="${escaped(queue.group)}"} ${value(queue)}\n`
  }
}
