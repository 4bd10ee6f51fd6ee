import { expect, test } from 'vitest'
import type { KubeApi, KubeObject } from '../../../kube/api.ts'
import { pods, statefulSets } from '../../../kube/resources.ts'
import { Operated } from './operated.ts'

/** As a mutating webhook does that adds a toleration to the pods of every StatefulSet that is written. */
function tolerating(all: Operated, api: KubeApi): KubeApi {
  const mutated = <T extends KubeObject>(object: T): T => {
    if (object.kind !== 'StatefulSet') return object
    const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
    all.kube.set(statefulSets, key, set => {
      const template = set?.spec?.template
      if (set?.spec === undefined || template?.spec === undefined) return set
      const tolerations = [{ key: 'hook', operator: 'Exists' as const }]
      return {
        ...set,
        spec: { ...set.spec, template: { ...template, spec: { ...template.spec, tolerations } } },
      }
    })
    return (all.kube.peek(statefulSets, key) ?? object) as unknown as T
  }
  return {
    get: api.get.bind(api),
    list: api.list.bind(api),
    watch: api.watch.bind(api),
    create: api.create.bind(api),
    replace: api.replace.bind(api),
    delete: api.delete.bind(api),
    apply: async (...call: Parameters<KubeApi['apply']>) => mutated(await api.apply(...call)),
    patch: async (...call: Parameters<KubeApi['patch']>) => mutated(await api.patch(...call)),
  } as KubeApi
}

test('a change reaches the brokers, also where a webhook adds to every StatefulSet that is written', async () => {
  const all = new Operated()
  all.start(api => tolerating(all, api))
  all.cluster()
  await all.clock.runUntil(() => all.ready === 3)
  all.cluster({ image: 'stele:2' })
  await all.clock.runUntil(
    () => all.kube.peekAll(pods).every(({ spec }) => spec?.containers[0]?.image === 'stele:2'),
    1_800_000,
  )
  await all.clock.runUntil(() => all.condition('Degraded')?.reason === 'Contested')
  expect(all.condition('Degraded')?.message).toContain('StatefulSet events-broker-')
})
