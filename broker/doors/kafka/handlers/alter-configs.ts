import { Refusal } from '../../../../base/refusals.ts'
import { checkTopicName } from '../../../../control/names.ts'
import { setForAll } from '../../../../control/settings/definitions.ts'
import type { SettingsChange } from '../../../../control/store.ts'
import { alterConfigs } from '../../../../protocol/kafka/apis/alter-configs.ts'
import { incrementalAlterConfigs } from '../../../../protocol/kafka/apis/incremental-alter-configs.ts'
import type { Router } from '../../../router/router.ts'
import { planAlteration, planReplacement, type Alteration } from '../../../settings/check.ts'
import type { Sources } from '../../../settings/resolve.ts'
import { brokerResource, topicResource } from './config-codes.ts'
import { attempt, plain, repeated, type Call, type Desk, type Failure, type Handler } from './handler.ts'

type Named = { readonly resourceType: number; readonly resourceName: string }
/** Decides on the change to a resource's settings, and refuses what is not allowed. */
type Plan<Resource> = (resource: Resource, level: 'topic' | 'broker', sources: Sources) => SettingsChange

const operations: readonly Alteration['op'][] = ['set', 'delete', 'append', 'subtract']

export const incrementalAlterConfigsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    incrementalAlterConfigs,
    async ({ resources, validateOnly }, call) => ({
      responses: await alterAll(call, resources, validateOnly, ({ configs }, level, sources) => {
        for (const { name, configOperation, value } of configs)
          if (operations[configOperation] !== 'delete') checkGiven(name, value)
        const alterations = configs.map(({ name, configOperation, value }) => {
          const op = operations[configOperation]
          if (op === undefined)
            throw new Refusal('INVALID_REQUEST', `there is no operation ${configOperation}`)
          return { name, op, value }
        })
        return planAlteration(level, alterations, sources)
      }),
    }),
    (failure, { resources }) => ({ responses: resources.map(resource => failed(resource, failure)) }),
  )

/** The old way, which names all settings that shall be there. */
export const alterConfigsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    alterConfigs,
    async ({ resources, validateOnly }, call) => ({
      responses: await alterAll(call, resources, validateOnly, ({ configs }, level, sources) => {
        for (const { name, value } of configs) checkGiven(name, value)
        for (const name of repeated(configs.map(config => config.name)))
          throw new Refusal('INVALID_REQUEST', `${name} is set twice`)
        const all = Object.fromEntries(configs.map(({ name, value }) => [name, value]))
        return planReplacement(level, all, (level === 'topic' ? sources.topic : sources.dynamic) ?? {})
      }),
    }),
    (failure, { resources }) => ({ responses: resources.map(resource => failed(resource, failure)) }),
  )

function checkGiven(name: string, value: string | null): void {
  if (value === null) throw new Refusal('INVALID_REQUEST', `${name} needs a value`)
}

async function alterAll<Resource extends Named>(
  call: Call,
  resources: readonly Resource[],
  validateOnly: boolean,
  plan: Plan<Resource>,
) {
  const { router } = call.desk
  const twice = repeated(resources.map(keyOf))
  const responses: (Named & { errorCode: number; errorMessage: string | null })[] = []
  for (const resource of resources) {
    const { resourceType, resourceName } = resource
    const outcome = await attempt(call, 'AlterConfigs', () => {
      if (twice.has(keyOf(resource))) {
        throw new Refusal('INVALID_REQUEST', `${JSON.stringify(resourceName)} is to be altered twice`)
      }
      return alter(router, resource, validateOnly, plan)
    })
    if (!('value' in outcome)) responses.push(failed(resource, outcome))
    else responses.push({ resourceType, resourceName, errorCode: 0, errorMessage: null })
  }
  return responses
}

async function alter<Resource extends Named>(
  router: Router,
  resource: Resource,
  validateOnly: boolean,
  plan: Plan<Resource>,
): Promise<void> {
  const { resourceType, resourceName } = resource
  if (resourceType === topicResource) {
    if (resourceName === '') throw new Refusal('INVALID_REQUEST', 'a topic has a name')
    checkTopicName(resourceName)
    const topic = router.topics().get(resourceName)
    if (topic === undefined) {
      throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${JSON.stringify(resourceName)}`)
    }
    const change = plan(resource, 'topic', router.settingsSources(topic.name))
    if (validateOnly) router.checkAlteration(topic.id, change)
    else await router.alterTopicSettings(topic.id, change)
  } else if (resourceType === brokerResource) {
    const change = brokerChange(() => plan(resource, 'broker', router.settingsSources()))
    if (resourceName !== '') checkOneBroker(resourceName, change, router)
    if (!validateOnly) await router.alterBrokerSettings(change)
  } else
    throw new Refusal(
      'INVALID_REQUEST',
      `resources of type ${resourceType} have no settings that could change`,
    )
}

/** As kafka-reassign-partitions does it: the limits of copies, with the same rate for each broker that it names. They hold for all. */
function checkOneBroker(name: string, { set, unset }: SettingsChange, router: Router): void {
  if (!router.brokers().some(({ brokerId }) => String(brokerId) === name))
    throw new Refusal('INVALID_REQUEST', `there is no broker ${JSON.stringify(name)}`)
  if ([...Object.keys(set), ...unset].every(one => setForAll.has(one))) return
  throw new Refusal(
    'INVALID_REQUEST',
    'settings change for all brokers at once: leave out the id of the broker',
  )
}

/** What a topic is refused as INVALID_CONFIG, a broker is refused as INVALID_REQUEST: as in Kafka. */
function brokerChange(plan: () => SettingsChange): SettingsChange {
  try {
    return plan()
  } catch (error) {
    if (error instanceof Refusal && error.code === 'INVALID_CONFIG')
      throw new Refusal('INVALID_REQUEST', error.message)
    throw error
  }
}

const keyOf = ({ resourceType, resourceName }: Named): string => `${resourceType} ${resourceName}`

const failed = ({ resourceType, resourceName }: Named, failure: Failure) => ({
  resourceType,
  resourceName,
  ...failure,
})
