import { brokerId } from '../../../../base/quantities.ts'
import { Refusal } from '../../../../base/refusals.ts'
import type { Topic } from '../../../../control/model.ts'
import { checkTopicName } from '../../../../control/names.ts'
import type { NewTopic } from '../../../../control/store.ts'
import { createTopics } from '../../../../protocol/kafka/apis/create-topics.ts'
import type { RequestOf, ResponseOf } from '../../../../protocol/kafka/schema.ts'
import type { BrokerSettings } from '../../../settings/resolve.ts'
import { checkTopicSettings } from '../../../settings/check.ts'
import { sourceCode } from './config-codes.ts'
import { failureOf, plain, repeated, type Call, type Desk, type Failure, type Handler } from './handler.ts'

type Asked = RequestOf<typeof createTopics>['topics'][number]
type Told = ResponseOf<typeof createTopics>['topics'][number]

const noId = 'AAAAAAAAAAAAAAAAAAAAAA'
const byDefault = -1

export const createTopicsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    createTopics,
    async ({ topics, validateOnly, timeoutMs }, call) => {
      const twice = repeated(topics.map(({ name }) => name))
      const told = new Map<string, Told>()
      const wanted: NewTopic[] = []
      for (const asked of topics) {
        const topic = translate(asked, twice.has(asked.name), call)
        if ('errorCode' in topic) told.set(asked.name, failed(asked.name, topic))
        else wanted.push(topic)
      }
      const made = await desk.router.createTopics(wanted, { validateOnly, timeoutMs })
      for (const [n, topic] of made.entries()) {
        const name = wanted[n]?.name ?? ''
        told.set(
          name,
          topic instanceof Refusal ? failed(name, failureOf(topic, call, 'CreateTopics')) : tell(topic, desk),
        )
      }
      return { topics: [...new Set(topics.map(({ name }) => name))].flatMap(name => told.get(name) ?? []) }
    },
    (failure, { topics }) => ({ topics: topics.map(({ name }) => failed(name, failure)) }),
  )

function translate(asked: Asked, twice: boolean, call: Call): NewTopic | Failure {
  try {
    if (twice) throw new Refusal('INVALID_REQUEST', `${JSON.stringify(asked.name)} is to be created twice`)
    checkTopicName(asked.name)
    const configs = Object.fromEntries(asked.configs.map(({ name, value }) => [name, value]))
    return {
      name: asked.name,
      settings: checkTopicSettings(configs),
      ...shape(asked, call.desk.router.settings),
    }
  } catch (error) {
    return failureOf(error, call, 'CreateTopics')
  }
}

function shape({ name, assignments, numPartitions, replicationFactor }: Asked, settings: BrokerSettings) {
  if (assignments.length === 0) {
    return {
      tablets: numPartitions === byDefault ? settings.numPartitions : numPartitions,
      replication: replicationFactor === byDefault ? settings.defaultReplicationFactor : replicationFactor,
    }
  }
  if (numPartitions !== byDefault || replicationFactor !== byDefault) {
    throw new Refusal(
      'INVALID_REQUEST',
      `${JSON.stringify(name)}: with an assignment given, the numbers of partitions and replicas must be -1`,
    )
  }
  const assignment = assignments.map(({ partitionIndex, brokerIds }) => ({
    tablet: partitionIndex,
    replicas: brokerIds.map(brokerId),
  }))
  return { assignment }
}

function tell(topic: Topic, { router }: Desk): Told {
  const settings = router.describeTopicSettings(topic)
  return {
    name: topic.name,
    topicId: topic.id,
    errorCode: 0,
    errorMessage: null,
    numPartitions: topic.tablets.length,
    replicationFactor: topic.tablets[0]?.replicas.length ?? byDefault,
    configs: settings.map(({ name, value, source, readOnly }) => ({
      name,
      value,
      readOnly,
      configSource: sourceCode(source),
      isSensitive: false,
    })),
  }
}

const failed = (name: string, failure: Failure): Told => ({ name, topicId: noId, ...failure, configs: [] })
