/** How far groups are behind, under the names that Kafka's exporters use, so that their dashboards and alerts work. */
import type { CoordinatedGroup } from '../../groups/coordinator.ts'
import type { Ends } from './ends.ts'
import { lagOf } from './group-json.ts'
import type { Serving } from './serving.ts'

type Family = {
  readonly name: string
  readonly help: string
  /** The values of one group, each as its labels beside the group's and its number. */
  readonly samples: (ends: Ends, coordinated: CoordinatedGroup) => Iterable<readonly [string, number]>
}

const families: readonly Family[] = [
  {
    name: 'kafka_consumergroup_current_offset',
    help: 'The offset that the group has committed for the partition.',
    *samples(_ends, { offsets }) {
      for (const { topic, partition, value } of offsets) yield [labels(topic, partition), value.offset]
    },
  },
  {
    name: 'kafka_consumergroup_lag',
    help: 'Records of the partition behind the offset that the group has committed.',
    *samples(ends, { offsets }) {
      for (const { topic, partition, value } of offsets) {
        const lag = lagOf(ends, topic, partition, value.offset)
        if (lag !== null) yield [labels(topic, partition), lag]
      }
    },
  },
  {
    name: 'kafka_consumergroup_current_offset_sum',
    help: 'The offsets that the group has committed for the topic, added up.',
    samples: (_ends, coordinated) => sums(coordinated, (_topic, _partition, offset) => offset),
  },
  {
    name: 'kafka_consumergroup_lag_sum',
    help: 'Records of the topic behind the offsets that the group has committed.',
    samples: (ends, coordinated) =>
      sums(coordinated, (topic, partition, offset) => lagOf(ends, topic, partition, offset) ?? 0),
  },
  {
    name: 'kafka_consumergroup_members',
    help: 'Members of the group.',
    samples: (_ends, { group }) => [['', group.members.size]],
  },
]

export const groupFamilies: readonly {
  readonly name: string
  readonly help: string
  readonly type: 'gauge'
}[] = families.map(({ name, help }) => ({ name, help, type: 'gauge' }))

/** All groups that are coordinated here, as Prometheus reads them, a line at a time; groups that are still being loaded come later. */
export function* groupLines({ router, ends }: Pick<Serving, 'router' | 'ends'>): Generator<string, void> {
  for (const { name, help, samples } of families) {
    yield `\n# HELP ${name} ${help}\n# TYPE ${name} gauge\n`
    for (const coordinated of router.groups.loaded()) {
      const group = `consumergroup="${escaped(coordinated.group.id)}"`
      for (const [more, value] of samples(ends, coordinated)) yield `${name}{${group}${more}} ${value}\n`
    }
  }
}

const labels = (topic: string, partition: number): string => `,topic="${topic}",partition="${partition}"`

/** One value a topic. */
function* sums(
  { offsets }: CoordinatedGroup,
  valueOf: (topic: string, partition: number, offset: number) => number,
): Generator<readonly [string, number], void> {
  const byTopic = new Map<string, number>()
  for (const { topic, partition, value } of offsets)
    byTopic.set(topic, (byTopic.get(topic) ?? 0) + valueOf(topic, partition, value.offset))
  for (const [topic, sum] of byTopic) yield [`,topic="${topic}"`, sum]
}

/** Names of groups may hold anything; those of topics need no care. */
export const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
