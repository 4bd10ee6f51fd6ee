import { Refusal } from '../../../../base/refusals.ts'
import { checkTopicName } from '../../../../control/names.ts'
import { describeConfigs } from '../../../../protocol/kafka/apis/describe-configs.ts'
import type { RequestOf, ResponseOf } from '../../../../protocol/kafka/schema.ts'
import type { Router } from '../../../router/router.ts'
import type { Described } from '../../../settings/resolve.ts'
import {
  brokerLoggerResource,
  brokerLoggerSource,
  brokerResource,
  sourceCode,
  topicResource,
  typeCode,
} from './config-codes.ts'
import { failureOf, plain, type Call, type Desk, type Handler } from './handler.ts'

type Request = RequestOf<typeof describeConfigs>
type Resource = Request['resources'][number]
type Result = ResponseOf<typeof describeConfigs>['results'][number]
type Config = Result['configs'][number]

export const describeConfigsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    describeConfigs,
    (request, call) => ({ results: request.resources.map(resource => describe(resource, request, call)) }),
    (failure, { resources }) => ({
      results: resources.map(resource => ({ ...named(resource), ...failure, configs: [] })),
    }),
  )

function describe(resource: Resource, request: Request, call: Call): Result {
  try {
    const { configurationKeys: keys } = resource
    const all = configs(resource, request, call.desk.router)
    const asked = keys === null || keys.length === 0 ? all : all.filter(({ name }) => keys.includes(name))
    return { ...named(resource), errorCode: 0, errorMessage: '', configs: asked }
  } catch (error) {
    return { ...named(resource), ...failureOf(error, call, 'DescribeConfigs'), configs: [] }
  }
}

const named = ({ resourceType, resourceName }: Resource) => ({ resourceType, resourceName })

function configs({ resourceType, resourceName }: Resource, request: Request, router: Router): Config[] {
  const tell = (settings: readonly Described[]): Config[] => settings.map(one => config(one, request))
  switch (resourceType) {
    case topicResource: {
      checkTopicName(resourceName)
      const topic = router.topics().get(resourceName)
      if (topic !== undefined) return tell(router.describeTopicSettings(topic))
      throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${resourceName}`)
    }
    case brokerResource: {
      const settings = router.describeBrokerSettings()
      if (resourceName === '')
        return tell(settings.filter(({ source }) => source === 'dynamic-default-broker'))
      checkBroker(resourceName, router)
      return tell(settings)
    }
    case brokerLoggerResource:
      checkBroker(resourceName, router)
      return [rootLogger(router.settings.logLevel)]
    default:
      throw new Refusal('INVALID_REQUEST', `resources of type ${resourceType} have no settings here`)
  }
}

/** Each broker describes itself; tools ask the right one. */
function checkBroker(resourceName: string, { self }: Router): void {
  if (resourceName !== String(self)) {
    throw new Refusal('INVALID_REQUEST', `this is broker ${self}, not ${JSON.stringify(resourceName)}`)
  }
}

const config = (setting: Described, request: Request): Config => ({
  name: setting.name,
  value: isUnset(setting) ? null : setting.value,
  readOnly: setting.readOnly,
  configSource: sourceCode(setting.source),
  isSensitive: false,
  synonyms: request.includeSynonyms
    ? setting.synonyms
        .filter(({ value }) => !isUnset({ ...setting, value }))
        .map(({ name, value, source }) => ({ name, value, source: sourceCode(source) }))
    : [],
  configType: typeCode(setting.type),
  documentation: request.includeDocumentation ? setting.doc : null,
})

/** A text that nobody gave: Kafka's is null. An empty list is a value. */
const isUnset = ({ type, value }: Pick<Described, 'type' | 'value'>): boolean =>
  type === 'string' && value === ''

/** There is one log with one level, which changes with a new start only. */
const rootLogger = (level: string): Config => ({
  name: 'root',
  value: level.toUpperCase(),
  readOnly: true,
  configSource: brokerLoggerSource,
  isSensitive: false,
  synonyms: [],
  configType: typeCode('string'),
  documentation: null,
})
