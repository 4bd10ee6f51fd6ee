/** LogTopics as brokers write them: what clients of Kafka and HTTP wish, as objects and patches. */
import { crc32c } from '../../base/crc32c.ts'
import type { JsonPatch } from '../../kube/api.ts'
import type { NewTopic, SettingsChange } from '../store.ts'
import type { LogTopic } from './resources/log-topic.ts'
import { annotations, apiVersion, labels } from './resources/names.ts'

type Place = { readonly cluster: string; readonly namespace: string }

/** The records of a topic that a client has made go when a client deletes it. */
export function newLogTopic(wanted: NewTopic, { cluster, namespace }: Place): LogTopic {
  const { name, settings } = wanted
  const places =
    'assignment' in wanted
      ? wanted.assignment.toSorted((a, b) => a.tablet - b.tablet).map(({ replicas }) => replicas)
      : undefined
  const [tablets, replication] =
    'assignment' in wanted
      ? [wanted.assignment.length, places?.[0]?.length ?? 1]
      : [wanted.tablets, wanted.replication]
  return {
    apiVersion,
    kind: 'LogTopic',
    metadata: {
      name: objectName(cluster, name),
      namespace,
      labels: { [labels.cluster]: cluster },
      ...(places && { annotations: { [annotations.assignment]: JSON.stringify(places) } }),
    },
    spec: { cluster, name, tablets, replication, config: { ...settings }, deletionPolicy: 'Delete' },
  }
}

const nameLengthMax = 200

/** Kafka's names are longer and richer than those of objects: the digest tells apart what looks the same without, also of two clusters. */
export function objectName(cluster: string, topic: string): string {
  const digest = crc32c(Buffer.from(`${cluster}/${topic}`))
    .toString(16)
    .padStart(8, '0')
  const plain = topic.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  const cut = `${cluster}-${plain}`.slice(0, nameLengthMax).replaceAll(/^-+|-+$/g, '')
  return `${cut}-${digest}`
}

export function settingsPatch(topic: LogTopic, { set, unset }: SettingsChange): JsonPatch {
  const config = Object.entries({ ...topic.spec.config, ...set }).filter(([name]) => !unset.includes(name))
  return guarded(topic, [{ op: 'add', path: '/spec/config', value: Object.fromEntries(config) }])
}

/** `places` are the brokers of every tablet, the ones that are there already included. */
export function growthPatch(
  topic: LogTopic,
  total: number,
  places: readonly (readonly number[])[] | undefined,
): JsonPatch {
  const assignment = JSON.stringify(places)
  const noted = topic.metadata.annotations ?? {}
  return guarded(topic, [
    { op: 'replace', path: '/spec/tablets', value: total },
    ...(places === undefined
      ? []
      : [
          {
            op: 'add' as const,
            path: '/metadata/annotations',
            value: { ...noted, [annotations.assignment]: assignment },
          },
        ]),
  ])
}

const guarded = ({ metadata }: LogTopic, patch: JsonPatch): JsonPatch => [
  { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
  ...patch,
]
