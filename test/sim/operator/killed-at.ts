import type { KubeApi, Resource } from '../../../kube/api.ts'

/** `api` until its `n`-th write was carried out: then `act` is called, and no answer comes. Events and the operator's own Lease do not count. */
export function killedAt(n: number, act: () => void): (api: KubeApi) => KubeApi {
  let writes = 0
  return api => {
    const through = <Answer>(
      { plural }: Resource,
      name: string,
      ask: () => Promise<Answer>,
    ): Promise<Answer> => {
      if (plural === 'events' || name === 'stele-operator') return ask()
      writes += 1
      if (writes !== n) return ask()
      return ask().finally(act)
    }
    return {
      ...api,
      watch: (resource, options, signal) => api.watch(resource, options, signal),
      create: (resource, object) =>
        through(resource, object.metadata.name, () => api.create(resource, object)),
      apply: (resource, object, options) =>
        through(resource, object.metadata.name, () => api.apply(resource, object, options)),
      patch: (resource, key, patch, options) =>
        through(resource, key.name, () => api.patch(resource, key, patch, options)),
      delete: (resource, key, options) =>
        through(resource, key.name, () => api.delete(resource, key, options)),
    }
  }
}
