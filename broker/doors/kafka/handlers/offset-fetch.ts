import { offsetFetch } from '../../../../protocol/kafka/apis/offset-fetch.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import type { StoredOffset } from '../../../../protocol/kafka/group-records.ts'
import type { CommittedOffsets } from '../../../groups/committed-offsets.ts'
import { failureOf, plain, type Call, type Desk, type Handler } from './handler.ts'

type Asked = NonNullable<RequestOf<typeof offsetFetch>['groups'][number]['topics']>

const manySince = 8
/** Version 1 has no place for an error of the whole group: every partition says it. */
const groupErrorSince = 2

export const offsetFetchHandler = (desk: Desk): Handler =>
  plain(
    desk,
    offsetFetch,
    ({ groupId, topics, groups }, call) => {
      if (call.version < manySince) {
        const { errorCode, topics: told } = tell(groupId, topics, call)
        return { errorCode, topics: told }
      }
      return {
        groups: [...Map.groupBy(groups, ({ groupId }) => groupId)].map(([groupId, asked]) => ({
          groupId,
          ...tell(groupId, together(asked), call),
        })),
      }
    },
    ({ errorCode }, { groups }) => ({
      errorCode,
      topics: [],
      groups: groups.map(({ groupId }) => ({ groupId, errorCode, topics: [] })),
    }),
  )

/** Who asks for null gets everything there is. Nothing here is ever unstable: that takes transactions. */
function tell(groupId: string, asked: Asked | null, call: Call) {
  try {
    const offsets = call.desk.router.groups.of(groupId).find(groupId)?.offsets
    return { errorCode: 0, topics: asked === null ? all(offsets) : some(asked, offsets) }
  } catch (error) {
    const { errorCode } = failureOf(error, call, 'OffsetFetch')
    const topics = call.version < groupErrorSince ? refused(asked ?? [], errorCode) : []
    return { errorCode, topics }
  }
}

/** What is asked of one group, however often the request names it. */
function together(asked: readonly { readonly topics: Asked | null }[]): Asked | null {
  const topics = []
  for (const one of asked) {
    if (one.topics === null) return null
    topics.push(one.topics)
  }
  return topics.flat()
}

/** A place that is named twice is told once: an answer is no longer than what there is. */
function some(asked: Asked, offsets: CommittedOffsets | undefined) {
  const wanted = new Map<string, Set<number>>()
  for (const { name, partitionIndexes } of asked) {
    const partitions = wanted.get(name) ?? new Set()
    wanted.set(name, partitions)
    for (const partition of partitionIndexes) partitions.add(partition)
  }
  return [...wanted].map(([name, partitions]) => ({
    name,
    partitions: [...partitions].map(partition => told(partition, offsets?.get(name, partition))),
  }))
}

function all(offsets: CommittedOffsets | undefined) {
  const topics = Map.groupBy(offsets ?? [], ({ topic }) => topic)
  return [...topics].map(([name, partitions]) => ({
    name,
    partitions: partitions.map(({ partition, value }) => told(partition, value)),
  }))
}

const refused = (asked: Asked, errorCode: number) =>
  asked.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map(partition => ({ ...told(partition, undefined), errorCode })),
  }))

const told = (partitionIndex: number, value: StoredOffset | undefined) => ({
  partitionIndex,
  committedOffset: value?.offset ?? -1,
  committedLeaderEpoch: value?.leaderEpoch ?? -1,
  metadata: value?.metadata ?? '',
  errorCode: 0,
})
