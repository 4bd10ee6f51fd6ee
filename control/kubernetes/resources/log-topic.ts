import type { KubeObject, Resource } from '../../../kube/api.ts'
import type { Condition } from './condition.ts'
import { group, version } from './names.ts'

export type LogTopic = KubeObject & { readonly spec: LogTopicSpec; readonly status?: LogTopicStatus }

export type LogTopicSpec = {
  /** The LogCluster's name, in the same namespace. Never changes. */
  readonly cluster: string
  /** Kafka's name, when it cannot be a resource name. Never changes. */
  readonly name?: string
  /** Never shrinks. */
  readonly tablets: number
  readonly replication: number
  /** The topic's own settings under Kafka's names. */
  readonly config?: Readonly<Record<string, string | number | boolean>>
  /** What becomes of the records when this LogTopic is deleted. */
  readonly deletionPolicy: 'Retain' | 'Delete'
}

export type LogTopicStatus = {
  readonly observedGeneration?: number
  readonly conditions?: readonly Condition[]
  /** Kafka's topic id: 22 characters of base64url. */
  readonly topicId?: string
  /** What spec.replication was when all tablets were last told to have as many replicas. */
  readonly replication?: number
  /** How many tablets are placed, and how many are led. */
  readonly tablets?: number
  readonly led?: number
}

/** The largest spec.replication. */
export const replicationMax = 15

/** The name on the Kafka wire. */
export const topicNameOf = (topic: LogTopic): string => topic.spec.name ?? topic.metadata.name

export const logTopics: Resource<LogTopic> = { group, version, kind: 'LogTopic', plural: 'logtopics' }
