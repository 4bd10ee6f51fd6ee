import { expect, test } from 'vitest'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { KubeObject, Resource } from '../../../kube/api.ts'
import * as kinds from '../../../kube/resources.ts'
import { killedAt } from './killed-at.ts'
import { namespace, Operated } from './operated.ts'

const compared = [
  kinds.statefulSets,
  kinds.services,
  kinds.configMaps,
  kinds.persistentVolumeClaims,
  kinds.serviceAccounts,
  kinds.roles,
  kinds.roleBindings,
  kinds.podDisruptionBudgets,
  kinds.networkPolicies,
] as unknown as Resource[]

/** The uid of a run's own ServiceAccount, and digests of it. */
const ofOneRun: readonly string[] = [annotations.account, annotations.revision, annotations.applied]

/** What there is in the end, without what tells one run from another. */
function finalState(all: Operated) {
  const objects = compared.flatMap(resource =>
    all.kube.peekAll(resource).map(object => {
      const { metadata, status: _, ...rest } = object as KubeObject & { readonly status?: unknown }
      const { name, labels, annotations: noted, ownerReferences } = metadata
      const whole = JSON.stringify({ name, labels, noted, ownerReferences, ...rest }, (key, value: unknown) =>
        ofOneRun.includes(key) ? '' : value,
      )
      return JSON.parse(whole) as unknown
    }),
  )
  const slices = all.kube.peekAll(tabletSlices)
  const leaders = slices.flatMap(({ tablets }) => tablets.map(({ leader }) => leader))
  const brokers = all.clusterNow()?.status?.brokers?.map(({ id, phase }) => [id, phase])
  return {
    objects,
    slices: slices.map(({ metadata, topic, first, tablets }) => [
      metadata.name,
      metadata.labels,
      metadata.ownerReferences,
      topic,
      first,
      tablets.length,
    ]),
    // Where another takes over it depends on the moment who leads.
    leads: all.kubelets.replicates
      ? []
      : [...Map.groupBy(leaders, leader => leader).values()].map(group => group.length).sort((a, b) => a - b),
    brokers,
    pods: all.kube.peekAll(kinds.pods).map(({ metadata, spec }) => [metadata.name, spec?.containers]),
  }
}

type Scenario = {
  readonly before: (all: Operated) => void
  readonly change: (all: Operated) => void
  /** What has to be so beside what the operator says. */
  readonly isOver?: (all: Operated) => boolean
}

const nodeOfBroker = (all: Operated, id: number): string =>
  all.kube.peek(kinds.pods, { namespace, name: `events-broker-${id}-0` })?.spec?.nodeName ?? ''

const scenarios: Readonly<Record<string, Scenario>> = {
  'a cluster with topics is made': {
    before: () => {},
    change: all => {
      all.cluster({ brokers: 2, deletionPolicy: 'Delete' })
      all.topic('orders', { tablets: 66 })
      all.topic('payments', { tablets: 2, replication: 2 })
    },
  },
  'a cluster is rolled and its volumes grow': {
    before: all => {
      all.cluster({ brokers: 2 })
      all.topic('orders', { tablets: 2 })
    },
    change: all =>
      all.cluster({ image: 'stele:2', config: { 'num.partitions': 3 }, storage: { size: '20Gi' } }),
  },
  'a broker is removed, and what it holds moves before': {
    before: all => {
      all.kubelets.replicates = true
      all.cluster({ brokers: 3, deletionPolicy: 'Delete' })
      all.topic('orders', { tablets: 30, replication: 2 })
    },
    change: all => all.cluster({ brokers: 2 }),
  },
  'a broker whose node and volume are gone gets an empty one': {
    before: all => {
      all.kubelets.hasLocalVolumes = true
      all.kubelets.replicates = true
      all.cluster({ brokers: 2, replaceAfter: '10s' })
      all.topic('orders', { tablets: 2, replication: 2 })
    },
    change: all => all.kube.set(kinds.nodes, { namespace: '', name: nodeOfBroker(all, 1) }, () => undefined),
    isOver: all => all.ready === 2 && all.kube.peekAll(kinds.persistentVolumes).length === 3,
  },
  'brokers are removed, and clients outside served': {
    before: all => {
      all.cluster({ brokers: 4, deletionPolicy: 'Delete' })
    },
    change: all => all.cluster({ brokers: 2, listeners: [{ type: 'NodePort' }] }),
  },
}

async function run(
  scenario: Scenario,
  killAt: number | undefined,
): Promise<{ all: Operated; wasKilled: boolean }> {
  const { isOver = () => true } = scenario
  const all = new Operated(7, scenario.isOver === undefined ? ['a'] : ['a', 'b'])
  scenario.before(all)
  const first = all.start()
  if (all.clusterNow() !== undefined) await all.settled()
  await all.clock.finish(first.stop())
  scenario.change(all)
  let wasKilled = false
  const kill = (): void => {
    wasKilled = true
    all.kill()
  }
  all.start(killAt === undefined ? api => api : killedAt(killAt, kill))
  await all.clock.runUntil(() => wasKilled || (isOver(all) && all.isSettled()))
  // What it removes last it removes when a pod has stopped.
  if (!wasKilled) await all.quiet()
  if (wasKilled) {
    all.start()
    // What was written last may say that all is done, until the new one leads.
    await all.clock.runFor(30_000)
  }
  await all.clock.runUntil(() => isOver(all))
  await all.settled()
  return { all, wasKilled }
}

test.each(Object.entries(scenarios))(
  '%s: an operator that is killed after any write leaves nothing undone',
  async (_, scenario) => {
    const { all } = await run(scenario, undefined)
    const whole = finalState(all)
    expect(whole.brokers).toHaveLength(2)
    let kills = 0
    for (let n = 1; ; n += 1) {
      const { all, wasKilled } = await run(scenario, n)
      expect(finalState(all), `killed after write ${n}`).toEqual(whole)
      if (!wasKilled) break
      kills += 1
    }
    expect(kills).toBeGreaterThan(10)
  },
  300_000,
)
