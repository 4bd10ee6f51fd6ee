import { ApiError, type KubeApi } from '../kube/api.ts'

export type Guard = {
  /** Asked before each write: who slept through the end of his leadership does not write any more. */
  readonly mayWrite: () => boolean
  /** Told of each answer; code 0 is none. */
  readonly onAnswer: (verb: string, plural: string, code: number) => void
}

/** `api` for one leadership: writes only while it lasts, every request counted. */
export function leadersApi(api: KubeApi, { mayWrite, onAnswer }: Guard): KubeApi {
  const counted = async <Answer>(
    verb: string,
    plural: string,
    ask: () => Promise<Answer>,
  ): Promise<Answer> => {
    try {
      const answer = await ask()
      onAnswer(verb, plural, 200)
      return answer
    } catch (error) {
      if (error instanceof ApiError) onAnswer(verb, plural, error.code)
      throw error
    }
  }
  const write = <Answer>(verb: string, plural: string, ask: () => Promise<Answer>): Promise<Answer> => {
    if (!mayWrite()) throw new ApiError('another operator may lead: nothing is written', { code: 0 })
    return counted(verb, plural, ask)
  }
  return {
    get: (resource, key) => counted('get', resource.plural, () => api.get(resource, key)),
    list: (resource, selection) => counted('list', resource.plural, () => api.list(resource, selection)),
    create: async (resource, object) => write('create', resource.plural, () => api.create(resource, object)),
    apply: async (resource, object, options) =>
      write('apply', resource.plural, () => api.apply(resource, object, options)),
    patch: async (resource, key, patch, options) =>
      write('patch', resource.plural, () => api.patch(resource, key, patch, options)),
    replace: async (resource, object, options) =>
      write('replace', resource.plural, () => api.replace(resource, object, options)),
    delete: async (resource, key, options) =>
      write('delete', resource.plural, () => api.delete(resource, key, options)),
    watch: (resource, options, signal) => {
      onAnswer('watch', resource.plural, 200)
      return api.watch(resource, options, signal)
    },
  }
}
