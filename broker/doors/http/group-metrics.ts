/** How far groups are behind, under the names that Kafka's exporters use, so that their dashboards and alerts work. */
import type { Clock } from '../../../base/world.ts'
import type { CoordinatedGroup } from '../../groups/coordinator.ts'
import type { Router } from '../../router/router.ts'
import { lagOf } from './group-json.ts'

/** So many offsets are written down in one turn of the event loop. */
const offsetsPerTurn = 1_000

type Texts = { current: string; lag: string; currentSum: string; lagSum: string; members: string }

const families: readonly { readonly of: keyof Texts; readonly name: string; readonly help: string }[] = [
  {
    of: 'current',
    name: 'kafka_consumergroup_current_offset',
    help: 'The offset that the group has committed for the partition.',
  },
  {
    of: 'lag',
    name: 'kafka_consumergroup_lag',
    help: 'Records of the partition behind the offset that the group has committed.',
  },
  {
    of: 'currentSum',
    name: 'kafka_consumergroup_current_offset_sum',
    help: 'The offsets that the group has committed for the topic, added up.',
  },
  {
    of: 'lagSum',
    name: 'kafka_consumergroup_lag_sum',
    help: 'Records of the topic behind the offsets that the group has committed.',
  },
  { of: 'members', name: 'kafka_consumergroup_members', help: 'Members of the group.' },
]

export const groupFamilies: readonly {
  readonly name: string
  readonly help: string
  readonly type: 'gauge'
}[] = families.map(({ name, help }) => ({ name, help, type: 'gauge' }))

/** All groups that are coordinated here, as Prometheus reads them; groups that are still being loaded come later. */
export async function renderGroups(clock: Clock, router: Router): Promise<string> {
  const texts: Texts = { current: '', lag: '', currentSum: '', lagSum: '', members: '' }
  let offsets = 0
  for (const coordinated of router.groups.loaded()) {
    renderGroup(router, coordinated, texts)
    offsets += coordinated.offsets.size + 1
    if (offsets < offsetsPerTurn) continue
    offsets = 0
    await new Promise<void>(turned => clock.endOfTurn(turned))
  }
  return families
    .map(({ of, name, help }) => `\n# HELP ${name} ${help}\n# TYPE ${name} gauge\n${texts[of]}`)
    .join('')
}

function renderGroup(router: Router, { group, offsets }: CoordinatedGroup, texts: Texts): void {
  const name = `consumergroup="${escaped(group.id)}"`
  const sums = new Map<string, { current: number; lag: number }>()
  for (const { topic, partition, value } of offsets) {
    const labels = `{${name},topic="${topic}",partition="${partition}"}`
    const lag = lagOf(router, topic, partition, value.offset)
    const sum = sums.get(topic) ?? { current: 0, lag: 0 }
    sums.set(topic, sum)
    sum.current += value.offset
    texts.current += `kafka_consumergroup_current_offset${labels} ${value.offset}\n`
    if (lag === null) continue
    sum.lag += lag
    texts.lag += `kafka_consumergroup_lag${labels} ${lag}\n`
  }
  for (const [topic, { current, lag }] of sums) {
    texts.currentSum += `kafka_consumergroup_current_offset_sum{${name},topic="${topic}"} ${current}\n`
    texts.lagSum += `kafka_consumergroup_lag_sum{${name},topic="${topic}"} ${lag}\n`
  }
  texts.members += `kafka_consumergroup_members{${name}} ${group.members.size}\n`
}

/** Names of groups may hold anything; those of topics need no care. */
export const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
