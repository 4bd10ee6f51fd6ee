/** What the API server does to objects of a kind before it keeps them. */
import { type JsonMap, isMap, same, without } from './json.ts'

export type Definition = {
  /** `plural.group`; of the core group `plural.` */
  readonly id: string
  /** Whether `status` is written only under its own path. */
  readonly status?: boolean
  /** Whether `metadata.generation` counts changes of what is not metadata or status. */
  readonly generation?: boolean
  /** The dotted path of what the scale subresource sets. */
  readonly scale?: string
  /** False: `replace` needs a resourceVersion. */
  readonly unconditional?: boolean
  /** Fills in what was left out; called before `refusal`. */
  readonly defaulted?: (object: JsonMap) => JsonMap
  /** Why it cannot be so (422), for what the schema forbids. `before` is undefined for a new one. */
  readonly refusal?: (object: JsonMap, before: JsonMap | undefined) => string | undefined
}

const specOf = (object: JsonMap): JsonMap => (isMap(object['spec']) ? object['spec'] : {})

const statefulSetMayChange = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]

/** A claim is bound once. */
const claimMayChange = (before: JsonMap): string[] =>
  specOf(before)['volumeName'] === undefined ? ['resources', 'volumeName'] : ['resources']

/** The kinds that behave otherwise than a ConfigMap. */
export const usualDefinitions: readonly Definition[] = [
  { id: 'pods.', status: true, generation: true },
  { id: 'services.', status: true },
  {
    id: 'persistentvolumeclaims.',
    status: true,
    refusal: (object, before) =>
      before === undefined ||
      same(
        without(specOf(object), ...claimMayChange(before)),
        without(specOf(before), ...claimMayChange(before)),
      )
        ? undefined
        : 'spec is immutable after creation except resources.requests for bound claims',
  },
  { id: 'nodes.', status: true },
  { id: 'persistentvolumes.', status: true },
  {
    id: 'statefulsets.apps',
    status: true,
    generation: true,
    scale: 'spec.replicas',
    refusal: (object, before) =>
      before === undefined ||
      same(without(specOf(object), ...statefulSetMayChange), without(specOf(before), ...statefulSetMayChange))
        ? undefined
        : `updates to statefulset spec for fields other than ${statefulSetMayChange.join(', ')} are forbidden`,
  },
  { id: 'poddisruptionbudgets.policy', status: true, generation: true },
  { id: 'networkpolicies.networking.k8s.io', generation: true },
  { id: 'leases.coordination.k8s.io', unconditional: false },
  {
    id: 'logclusters.stele.dev',
    status: true,
    generation: true,
    scale: 'spec.brokers',
    unconditional: false,
  },
  { id: 'logtopics.stele.dev', status: true, generation: true, unconditional: false },
  { id: 'tabletslices.stele.dev', generation: true, unconditional: false },
]
