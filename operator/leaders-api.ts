import { ApiError, type KubeApi } from '../kube/api.ts'

/** `api` for one leadership: who slept through its end does not write any more. `mayWrite` is asked before each write. */
export function leadersApi(api: KubeApi, mayWrite: () => boolean): KubeApi {
  const check = (): void => {
    if (!mayWrite()) throw new ApiError('another operator may lead: nothing is written', { code: 0 })
  }
  return {
    get: (resource, key) => api.get(resource, key),
    list: (resource, selection) => api.list(resource, selection),
    watch: (resource, options, signal) => api.watch(resource, options, signal),
    async create(resource, object) {
      check()
      return api.create(resource, object)
    },
    async apply(resource, object, options) {
      check()
      return api.apply(resource, object, options)
    },
    async patch(resource, key, patch, options) {
      check()
      return api.patch(resource, key, patch, options)
    },
    async replace(resource, object, options) {
      check()
      return api.replace(resource, object, options)
    },
    async delete(resource, key, options) {
      check()
      return api.delete(resource, key, options)
    },
  }
}
