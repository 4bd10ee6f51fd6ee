/**
 * Does steps, and decides nothing: steps enter, what the API server would not have leaves. What always holds: nothing that is not ours is
 * touched, and what fails for a while fails the whole run, which comes again.
 */
import { logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import { logClusters, type LogCluster } from '../../control/kubernetes/resources/log-cluster.ts'
import { ApiError, type KubeApi, type KubeObject, type Resource } from '../../kube/api.ts'
import type { Fact } from '../../kube/events.ts'
import type { Fault } from '../judge/fault.ts'
import { isOurs } from '../plan/put.ts'
import { keyOf, targetOf, type Step } from '../plan/step.ts'
import { manager } from '../resources/labels.ts'
import { inParallel } from './parallel.ts'

export type ApplyOptions = {
  readonly api: KubeApi
  readonly cluster: LogCluster | undefined
  /** Our own writes, to be seen at once. */
  readonly wrote: (resource: Resource, object: KubeObject) => void
  readonly deleted: (resource: Resource, object: KubeObject) => void
  readonly record: (fact: Omit<Fact, 'regarding'>) => void
  readonly signal: AbortSignal
}

/**
 * `moved`: something is different now. `stale`: what was seen is not how it is. `undefinedKind`: whether a LogCluster is there could not be asked, as the
 * API server knows no such kind.
 */
export type Applied = {
  readonly moved: boolean
  readonly stale: boolean
  readonly undefinedKind: boolean
  readonly refused: readonly Fault[]
}

type Applying = ApplyOptions & {
  /** The LogTopics and LogClusters of a namespace as the API server has them now. */
  readonly topicUids: (namespace: string) => Promise<ReadonlySet<string>>
  readonly clusterUids: (namespace: string) => Promise<ReadonlySet<string>>
}

type Outcome = 'done' | 'nothing' | 'stale' | 'undefined kind' | Fault

/** As many writes at once as a small API server takes without noticing. */
export const writesAtOnce = 16

/** @throws ApiError when the API server cannot answer now */
export async function apply(steps: readonly Step[], options: ApplyOptions): Promise<Applied> {
  const once = (resource: Resource) => {
    let listed: Promise<ReadonlySet<string>> | undefined
    return (namespace: string) => (listed ??= uidsOf(options.api, resource, namespace))
  }
  const applying = { ...options, topicUids: once(logTopics), clusterUids: once(logClusters) }
  const outcomes = await inParallel(steps, writesAtOnce, step => outcomeOf(step, applying))
  return {
    moved: outcomes.includes('done'),
    stale: outcomes.includes('stale'),
    undefinedKind: outcomes.includes('undefined kind'),
    refused: outcomes.filter(outcome => typeof outcome === 'object'),
  }
}

async function uidsOf(api: KubeApi, resource: Resource, namespace: string): Promise<ReadonlySet<string>> {
  const { items } = await api.list(resource, { namespace })
  return new Set(items.map(({ metadata }) => metadata.uid ?? ''))
}

async function outcomeOf(step: Step, options: Applying): Promise<Outcome> {
  options.signal.throwIfAborted()
  try {
    const outcome = await take(step, options)
    if (outcome === 'done' && step.event !== undefined) options.record(step.event)
    return outcome
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    if (step.kind === 'create' && error.code === 409 && (await isTaken(step, options.api)))
      return notOurs(step)
    return judge(step, error)
  }
}

/** Whether somebody else has made what is there: it has not the labels that ours would have. */
async function isTaken({ resource, object }: Step & { kind: 'create' }, api: KubeApi): Promise<boolean> {
  const there = await api.get(resource, keyOf(object))
  const labels = Object.entries(object.metadata.labels ?? {})
  return there !== undefined && labels.some(([name, value]) => there.metadata.labels?.[name] !== value)
}

const notOurs = (step: Step): Fault => ({
  reason: 'NotOurs',
  message: `there is a ${targetOf(step)} that the operator did not make, and it leaves it alone: rename or delete it, or rename the LogCluster`,
})

/** What an answer that is no success means for the step. Of what passes by itself the queue tries again. */
function judge(step: Step, error: ApiError): Fault | 'stale' {
  const target = targetOf(step)
  const guarded = step.kind === 'patch' && error.code === 422
  if (guarded || error.code === 404 || error.code === 409) return 'stale'
  if (![400, 403, 422].includes(error.code)) throw error
  // A quota answers as missing rights do.
  const isForbidden = error.code === 403 && !error.message.includes('exceeded quota')
  return {
    reason: isForbidden ? 'Forbidden' : 'Rejected',
    message: `${target}: the API server refuses it: ${error.message}`,
  }
}

async function take(step: Step, options: Applying): Promise<Outcome> {
  const { api } = options
  if (step.kind === 'apply') return applyObject(step, options)
  const guarded = await guard(step, options)
  if (guarded !== undefined) return guarded
  if (step.kind === 'delete') return remove(step, options)
  const made =
    step.kind === 'create'
      ? await api.create(step.resource, step.object)
      : await api.patch(step.resource, step.key, step.patch)
  options.wrote(step.resource, made)
  return 'done'
}

/** What keeps a step from being taken that is for a LogCluster that is gone; undefined when nothing does. */
async function guard(step: Step, options: Applying): Promise<'stale' | 'undefined kind' | undefined> {
  if ((step.kind !== 'create' && step.kind !== 'delete') || step.unlessCluster === undefined) return undefined
  const { namespace } = step.kind === 'create' ? keyOf(step.object) : step.key
  try {
    return (await options.clusterUids(namespace)).has(step.unlessCluster) ? 'stale' : undefined
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return 'undefined kind'
    throw error
  }
}

async function applyObject(step: Step & { kind: 'apply' }, options: ApplyOptions): Promise<Outcome> {
  const { api, cluster } = options
  const { resource, object } = step
  const there = step.isNew ? await api.get(resource, keyOf(object)) : undefined
  if (there !== undefined && (cluster === undefined || !isOurs(there, cluster))) {
    return notOurs(step)
  }
  if (there?.metadata.deletionTimestamp !== undefined) return 'nothing'
  options.wrote(resource, await api.apply(resource, object, { manager, force: true }))
  return 'done'
}

async function remove(step: Step & { kind: 'delete' }, options: Applying): Promise<Outcome> {
  const { api } = options
  const { resource, key, uid, resourceVersion, unlessTopic, asSeen = [] } = step
  for (const one of asSeen) {
    const now = await api.get(one.resource, one.key)
    if (now?.metadata.resourceVersion !== one.resourceVersion) return 'stale'
  }
  if (unlessTopic !== undefined) {
    const uids = await options.topicUids(key.namespace)
    if (unlessTopic.some(one => uids.has(one))) return 'stale'
  }
  const was = await api.delete(resource, key, {
    uid,
    ...(resourceVersion !== undefined && { resourceVersion }),
  })
  const { group, version, kind } = resource
  const apiVersion = group === '' ? version : `${group}/${version}`
  options.deleted(resource, { apiVersion, kind, metadata: { ...key, uid } })
  return was ? 'done' : 'nothing'
}
