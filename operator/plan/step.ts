import type { JsonPatch, KubeObject, ObjectKey, Resource } from '../../kube/api.ts'
import type { Fact } from '../../kube/events.ts'

/** An object as it was when something was decided by it; undefined: it was not there. */
export type AsSeen = {
  readonly resource: Resource
  readonly key: ObjectKey
  readonly resourceVersion: string | undefined
}

/** One write, and the one reason for it. */
export type Step = {
  readonly reason: string
  /** Nothing else is wanted than before, somebody changed it. */
  readonly putsBack?: true
  /** Told when the step is done. */
  readonly event?: Omit<Fact, 'regarding'>
} & (
  | {
      /**
       * Server-side apply. `isNew`: nothing of ours was seen there, so a stranger of this name is left alone.
       */
      readonly kind: 'apply'
      readonly resource: Resource
      readonly object: KubeObject
      readonly isNew: boolean
    }
  | {
      /** `unlessCluster`: only when the API server itself says that there is no LogCluster with this uid. */
      readonly kind: 'create'
      readonly resource: Resource
      readonly object: KubeObject
      readonly unlessCluster?: string
    }
  | {
      readonly kind: 'patch'
      readonly resource: Resource
      readonly key: ObjectKey
      readonly patch: JsonPatch
    }
  | {
      /**
       * Only this very object; with `resourceVersion`, only as it was seen. With `unlessTopic`: only when the API server itself says that no LogTopic has one of these uids; with
       * `unlessCluster`, that there is no LogCluster with this one; with `asSeen`, that these other objects still are as they were.
       */
      readonly kind: 'delete'
      readonly resource: Resource
      readonly key: ObjectKey
      readonly uid: string
      readonly resourceVersion?: string
      readonly unlessTopic?: readonly string[]
      readonly unlessCluster?: string
      readonly asSeen?: readonly AsSeen[]
    }
)

export const keyOf = ({ metadata }: KubeObject): ObjectKey => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
})

const keyOfStep = (step: Step): ObjectKey =>
  step.kind === 'apply' || step.kind === 'create' ? keyOf(step.object) : step.key

/** As people read it: `StatefulSet events-broker-0`. */
export const targetOf = (step: Step): string => `${step.resource.kind} ${keyOfStep(step).name}`
