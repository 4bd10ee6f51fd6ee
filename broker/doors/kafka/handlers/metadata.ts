import { isInternal, type Topic } from '../../../../control/model.ts'
import { checkTopicName } from '../../../../control/names.ts'
import { Refusal } from '../../../../base/refusals.ts'
import { metadata } from '../../../../protocol/kafka/apis/metadata.ts'
import type { RequestOf, ResponseOf } from '../../../../protocol/kafka/schema.ts'
import { clusterOperations, describeTablet, operationsUnasked, topicOperations } from './described.ts'
import { codeOf, failureOf, plain, type Call, type Desk, type Handler } from './handler.ts'
import { brokerPlaces } from './places.ts'
import { soon, soonMs } from './soon.ts'

type Asked = NonNullable<RequestOf<typeof metadata>['topics']>[number]
type Told = ResponseOf<typeof metadata>['topics'][number]

/** A missing topic is made if it may be, and waited for until then; monotonic. */
type Finding = { readonly mayMake: boolean; readonly withOperations: boolean; readonly untilMs: number }

const noId = 'AAAAAAAAAAAAAAAAAAAAAA'

export const metadataHandler = (desk: Desk): Handler =>
  plain(
    desk,
    metadata,
    async (request, call) => {
      const { router } = desk
      const withOperations = request.includeTopicAuthorizedOperations
      const all = request.topics === null || (call.version === 0 && request.topics.length === 0)
      const topics: Told[] = []
      if (all) for (const topic of router.topics().values()) topics.push(tell(topic, call, withOperations))
      else {
        const mayMake = request.allowAutoTopicCreation
        const untilMs = desk.world.clock.monotonicMs() + soonMs
        for (const asked of once(request.topics ?? [], call.version)) {
          topics.push(await find(asked, call, { mayMake, withOperations, untilMs }))
        }
      }
      return {
        brokers: brokerPlaces(call),
        clusterId: router.clusterId,
        controllerId: router.self,
        topics,
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
          ? clusterOperations
          : operationsUnasked,
      }
    },
    ({ errorCode }, { topics }) => ({
      brokers: [],
      topics: (topics ?? []).map(({ name, topicId }) => missing(name ?? '', topicId, errorCode)),
    }),
  )

/** Each topic once. Kafka refuses all of a request of version 10 or 11 that does not name its topics, though these could. */
function once(topics: readonly Asked[], version: number): Asked[] {
  if (version < 12 && topics.some(({ name, topicId }) => name === null || topicId !== noId))
    throw new Refusal('INVALID_REQUEST', 'topics are asked for by id from version 12 on')
  return [...new Map(topics.map(asked => [`${asked.name} ${asked.topicId}`, asked])).values()]
}

async function find(asked: Asked, call: Call, { mayMake, withOperations, untilMs }: Finding): Promise<Told> {
  const { router } = call.desk
  const { name, topicId } = asked
  try {
    if (topicId !== noId) {
      const topic = router.topicById(topicId)
      return topic === undefined
        ? missing(null, topicId, codeOf('UNKNOWN_TOPIC_ID'))
        : tell(topic, call, withOperations)
    }
    if (name === null) throw new Refusal('INVALID_REQUEST', 'a topic has neither a name nor an id')
    const known = router.topics().get(name)
    if (known !== undefined) return tell(known, call, withOperations)
    checkTopicName(name)
    if (!mayMake || !router.settings.autoCreateTopicsEnable) {
      return missing(name, noId, codeOf('UNKNOWN_TOPIC_OR_PARTITION'))
    }
    const making = new Refusal('LEADER_NOT_AVAILABLE', `topic ${name} is being made`)
    const made = await soon(call.desk.world.clock, untilMs, router.ensureTopic(name), making)
    return tell(made, call, withOperations)
  } catch (error) {
    return missing(
      call.version < 12 ? (name ?? '') : name,
      topicId,
      failureOf(error, call, 'Metadata').errorCode,
    )
  }
}

const missing = (name: string | null, topicId: string, errorCode: number): Told => ({
  errorCode,
  name,
  topicId,
  partitions: [],
})

const tell = (topic: Topic, { desk }: Call, withOperations: boolean): Told => ({
  errorCode: 0,
  name: topic.name,
  topicId: topic.id,
  isInternal: isInternal(topic.name),
  partitions: topic.tablets.map((tablet, n) => describeTablet(desk.router, topic, n, tablet)),
  topicAuthorizedOperations: withOperations ? topicOperations : operationsUnasked,
})
