import { Refusal } from '../../../../base/refusals.ts'
import { isInternal, type Topic } from '../../../../control/model.ts'
import { describeTopicPartitions } from '../../../../protocol/kafka/apis/describe-topic-partitions.ts'
import type { RequestOf, ResponseOf } from '../../../../protocol/kafka/schema.ts'
import type { Router } from '../../../router/router.ts'
import { describeTablet, topicOperations } from './described.ts'
import { codeOf, plain, type Desk, type Handler } from './handler.ts'

type Request = RequestOf<typeof describeTopicPartitions>
type Told = ResponseOf<typeof describeTopicPartitions>['topics'][number]
type Cursor = { readonly topicName: string; readonly partitionIndex: number }

/** As `max.request.partition.size.limit` has it in Kafka. */
const partitionsMax = 2_000
const noId = 'AAAAAAAAAAAAAAAAAAAAAA'

/** Topics by name, in pages of partitions (KIP-966); no topic named means all. */
export const describeTopicPartitionsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    describeTopicPartitions,
    request => page(desk.router, request),
    ({ errorCode }, { topics }) => ({
      topics: topics.map(({ name }) => missing(name, errorCode)),
      nextCursor: null,
    }),
  )

function page(router: Router, request: Request): ResponseOf<typeof describeTopicPartitions> {
  const { cursor } = request
  if (cursor !== null) checkCursor(cursor, request)
  let room = Math.max(1, Math.min(request.responsePartitionLimit, partitionsMax))
  const told: Told[] = []
  for (const name of names(router, request)) {
    if (cursor !== null && name < cursor.topicName) continue
    const topic = router.topics().get(name)
    if (topic === undefined) {
      const unknown = missing(name, codeOf('UNKNOWN_TOPIC_OR_PARTITION'))
      told.push({ ...unknown, topicAuthorizedOperations: topicOperations })
      continue
    }
    const from = name === cursor?.topicName ? Math.max(0, cursor.partitionIndex) : 0
    if (room === 0 && from < topic.tablets.length) return { topics: told, nextCursor: at(name, from) }
    const to = Math.min(topic.tablets.length, from + room)
    told.push(tell(router, topic, from, to))
    room -= Math.max(0, to - from)
    if (to < topic.tablets.length) return { topics: told, nextCursor: at(name, to) }
  }
  return { topics: told, nextCursor: null }
}

function checkCursor({ topicName, partitionIndex }: Cursor, { topics }: Request): void {
  if (partitionIndex < 0) throw new Refusal('INVALID_REQUEST', `there is no partition ${partitionIndex}`)
  if (topics.length > 0 && !topics.some(({ name }) => name === topicName))
    throw new Refusal('INVALID_REQUEST', `${JSON.stringify(topicName)}, to begin at, is not among the topics`)
}

const names = (router: Router, { topics }: Request): string[] =>
  (topics.length === 0 ? [...router.topics().keys()] : [...new Set(topics.map(({ name }) => name))]).sort()

const at = (topicName: string, partitionIndex: number): Cursor => ({ topicName, partitionIndex })

const missing = (name: string, errorCode: number): Told => ({
  errorCode,
  name,
  topicId: noId,
  partitions: [],
})

const tell = (router: Router, topic: Topic, from: number, to: number): Told => ({
  errorCode: 0,
  name: topic.name,
  topicId: topic.id,
  isInternal: isInternal(topic.name),
  partitions: topic.tablets.slice(from, to).map((tablet, n) => ({
    ...describeTablet(router, topic, from + n, tablet),
    eligibleLeaderReplicas: [],
    lastKnownElr: [],
  })),
  topicAuthorizedOperations: topicOperations,
})
