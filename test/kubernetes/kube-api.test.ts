import { inject } from 'vitest'
import { kubeConfigAccess } from '../../kube/kube-config.ts'
import type { KubeObject, Resource } from '../../kube/api.ts'
import { KubeClient } from '../../kube/client.ts'
import { kubeApiContract, notes, widgets } from '../contract/kube-api.ts'
import { until } from './rig/until.ts'

const namespaces: Resource = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
}
type Definition = KubeObject & {
  readonly spec: object
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}
const definitions: Resource<Definition> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
}

/** A kind of which the API server checks nothing. */
const definitionOf = ({ group, version, kind, plural }: Resource, subresources: object): Definition => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    names: { kind, plural },
    scope: 'Namespaced',
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        subresources,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
})

kubeApiContract('real', async () => {
  const access = kubeConfigAccess({ file: inject('kubeconfig') })
  const api = new KubeClient({ access, userAgent: 'contract/1' })
  const run = process.pid.toString(36)
  const names = [`contract-${run}-a`, `contract-${run}-b`] as const
  const kinds = [definitionOf(widgets, { status: {} }), definitionOf(notes, {})]
  for (const name of names)
    await api.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  for (const kind of kinds) await api.apply(definitions, kind, { manager: 'contract', force: true })
  await until('the kinds of the contract', async () => {
    const { items } = await api.list(definitions)
    return kinds.every(({ metadata }) =>
      items
        .find(({ metadata: { name } }) => name === metadata.name)
        ?.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True'),
    )
  })
  return {
    api,
    namespaces: [...names],
    run: promise => promise,
    async close() {
      for (const name of names) await api.delete(namespaces, { namespace: '', name })
      for (const { metadata } of kinds) await api.delete(definitions, { namespace: '', name: metadata.name })
    },
  }
})
