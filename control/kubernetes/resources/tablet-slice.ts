import type { KubeObject, Resource } from '../../../kube/api.ts'
import { group, version } from './names.ts'

/** Up to 64 tablets of one topic: who leads and holds them. Written by operator and brokers only, by guarded patches. */
export type TabletSlice = KubeObject & {
  readonly topic: {
    readonly name: string
    /** Kafka's topic id: 22 characters of base64url. */
    readonly id: string
    /** The LogTopic's, so that it is known when that is gone. */
    readonly deletionPolicy: 'Retain' | 'Delete'
  }
  /** The number of its first tablet: a multiple of 64. */
  readonly first: number
  readonly tablets: readonly SliceTablet[]
}

/** `TabletAssignment` as it stands in the API; `leader` is missing while nobody leads. */
export type SliceTablet = {
  readonly epoch: number
  readonly version: number
  readonly leader?: number
  readonly replicas: readonly number[]
  readonly adding: readonly number[]
  readonly removing: readonly number[]
  readonly isr: readonly { readonly broker: number; readonly incarnation: number }[]
  readonly found?: readonly SliceFound[]
  readonly unclean?: boolean
}

type SliceFound = {
  readonly broker: number
  readonly incarnation: number
  readonly epoch: number
  readonly end: number
  readonly trouble?: 'lost' | 'offline'
}

export const tabletSlices: Resource<TabletSlice> = {
  group,
  version,
  kind: 'TabletSlice',
  plural: 'tabletslices',
}
