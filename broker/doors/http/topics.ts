import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../../../base/refusals.ts'
import { isInternal, type TabletAssignment, type Topic } from '../../../control/model.ts'
import { isMoving, targetOf } from '../../../control/moves.ts'
import type { NewTopic } from '../../../control/store.ts'
import type { Router } from '../../router/router.ts'
import { checkTopicSettings, planAlteration } from '../../settings/check.ts'
import type { Source } from '../../settings/resolve.ts'
import { withBody } from './body.ts'
import {
  alterTopicDocs,
  createTopicDocs,
  deleteTopicDocs,
  describeTopicDocs,
  listTopicsDocs,
} from './docs-topics.ts'
import { invalid } from './errors.ts'
import { forwardedHeader } from './peers.ts'
import { parseJson } from './json-text.ts'
import { nearest, parametersOf } from './parameters.ts'
import { isObject, kindOf } from './record-in.ts'
import { bodyLimits } from './records-in.ts'
import type { Serving } from './serving.ts'

export function addTopics(app: FastifyInstance, serving: Serving): void {
  const { router } = serving
  const bodyOf = (request: FastifyRequest, fields: readonly string[]): Promise<Record<string, unknown>> =>
    withBody(request.raw, bodyLimits(serving), async body => fieldsOf(body, fields))

  app.get('/v1/topics', { schema: listTopicsDocs }, async request => {
    parametersOf(request.url, [])
    return { topics: [...router.topics().values()].map(summary) }
  })

  app.post('/v1/topics', { schema: createTopicDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    const fields = await bodyOf(request, [
      'name',
      'partitions',
      'replication_factor',
      'config',
      'validate_only',
    ])
    const validateOnly = booleanOf('validate_only', fields['validate_only'])
    const [made] = await router.createTopics([newTopicOf(fields, router)], { validateOnly })
    if (made === undefined || made instanceof Refusal) {
      throw made ?? new Refusal('UNKNOWN_SERVER_ERROR', 'The topic was neither made nor refused')
    }
    return reply.code(validateOnly ? 200 : 201).send(describe(router, made))
  })

  app.get('/v1/topics/:topic', { schema: describeTopicDocs }, async request => {
    parametersOf(request.url, [])
    const described = describe(router, topicAsked(request, router))
    if (request.headers[forwardedHeader] !== undefined || router.brokers().length < 2) return described
    return { ...described, partitions: await serving.ends.completed(described.name, described.partitions) }
  })

  app.patch('/v1/topics/:topic', { schema: alterTopicDocs }, async request => {
    parametersOf(request.url, [])
    const fields = await bodyOf(request, ['partitions', 'config'])
    const topic = topicAsked(request, router)
    const partitions = countOf('partitions', fields['partitions'])
    const change = alterationOf(topic, fields['config'], router)
    if (partitions !== undefined) await router.addTablets(topic.id, partitions)
    if (change !== undefined) await router.alterTopicSettings(topic.id, change)
    return describe(router, topicAsked(request, router))
  })

  app.delete('/v1/topics/:topic', { schema: deleteTopicDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    const { name, id } = topicAsked(request, router)
    if (isInternal(name)) {
      throw new Refusal(
        'POLICY_VIOLATION',
        `${name} holds what all groups have committed: delete groups instead`,
      )
    }
    if (!router.settings.deleteTopicEnable) {
      throw new Refusal('POLICY_VIOLATION', `${name} stays: delete.topic.enable is false`)
    }
    await router.deleteTopic(name, id)
    return reply.code(204).send()
  })
}

/** @throws Refusal UNKNOWN_TOPIC_OR_PARTITION */
export function topicAsked(request: FastifyRequest, router: Router): Topic {
  const { topic } = request.params as { topic: string }
  const found = router.topics().get(topic)
  if (found !== undefined) return found
  const near = nearest(topic, [...router.topics().keys()])
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${topic.slice(0, 249)}${hint}`)
}

/** The fields of a JSON object; a name that is not in `allowed` is refused. @throws Refusal INVALID_JSON, INVALID_REQUEST */
export function fieldsOf(body: Buffer, allowed: readonly string[]): Record<string, unknown> {
  const json = parseJson(body, 'The body')
  if (!isObject(json)) throw invalid(`The body must be an object, not ${kindOf(json)}`)
  for (const name of Object.keys(json)) {
    if (allowed.includes(name)) continue
    const near = nearest(name, allowed)
    const known = `It takes ${allowed.join(', ')}.`
    throw invalid(
      `${JSON.stringify(name)} is no field of this request`,
      near === undefined ? known : `Did you mean ${near}? ${known}`,
    )
  }
  return json
}

function newTopicOf(fields: Record<string, unknown>, { settings }: Router): NewTopic {
  const { name } = fields
  if (typeof name !== 'string') throw invalid(`name must be a string, not ${kindOf(name)}`)
  const wanted = configOf(fields['config'])
  if (Object.values(wanted).includes(null))
    throw invalid('A setting of a new topic cannot be null', 'Leave it out.')
  return {
    name,
    settings: checkTopicSettings(wanted),
    tablets: countOf('partitions', fields['partitions']) ?? settings.numPartitions,
    replication:
      countOf('replication_factor', fields['replication_factor']) ?? settings.defaultReplicationFactor,
  }
}

function alterationOf(
  topic: Topic,
  config: unknown,
  router: Router,
): ReturnType<typeof planAlteration> | undefined {
  if (config === undefined) return undefined
  const alterations = Object.entries(configOf(config)).map(([name, value]) => ({
    name,
    op: value === null ? ('delete' as const) : ('set' as const),
    value,
  }))
  return planAlteration('topic', alterations, router.settingsSources(topic.name))
}

function configOf(json: unknown): Record<string, string | null> {
  if (json === undefined) return {}
  if (!isObject(json)) throw invalid(`config must be an object, not ${kindOf(json)}`)
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      if (value === null || typeof value === 'string') return [name, value]
      if (typeof value === 'number' || typeof value === 'boolean') return [name, String(value)]
      throw invalid(`config.${name} must be a string, not ${kindOf(value)}`)
    }),
  )
}

function countOf(name: string, json: unknown): number | undefined {
  if (json === undefined) return undefined
  if (typeof json === 'number' && Number.isInteger(json) && json >= 1 && json < 2 ** 31) return json
  throw invalid(`${name} must be a whole number from 1, not ${JSON.stringify(json).slice(0, 60)}`)
}

export function booleanOf(name: string, json: unknown): boolean {
  if (json === undefined) return false
  if (typeof json === 'boolean') return json
  throw invalid(`${name} must be true or false, not ${kindOf(json)}`)
}

const summary = (topic: Topic): object => ({
  name: topic.name,
  topic_id: topic.id,
  partitions: topic.tablets.length,
  replication_factor: topic.tablets[0] === undefined ? 0 : targetOf(topic.tablets[0]).length,
  internal: isInternal(topic.name),
})

const describe = (router: Router, topic: Topic) => ({
  name: topic.name,
  topic_id: topic.id,
  partitions: topic.tablets.map((tablet, partition) => describePartition(router, topic, tablet, partition)),
  config: Object.fromEntries(
    router
      .describeTopicSettings(topic)
      .map(({ name, value, source }) => [name, { value, source: sources[source] }]),
  ),
})

const sources: Record<Source, 'topic' | 'broker' | 'default'> = {
  topic: 'topic',
  'dynamic-default-broker': 'broker',
  'static-broker': 'broker',
  default: 'default',
}

function describePartition(router: Router, topic: Topic, assigned: TabletAssignment, partition: number) {
  const replica = router.find(topic.name, partition)
  const tablet = replica?.role === 'follower' ? undefined : replica
  const offline = router.offline(topic.name, partition, assigned)
  return {
    partition,
    leader: assigned.leader ?? null,
    leader_epoch: assigned.epoch,
    replicas: assigned.replicas,
    isr: assigned.isr.map(member => member.broker),
    log_start_offset: tablet?.logStart ?? null,
    high_watermark: tablet?.highWatermark ?? null,
    size_bytes: tablet?.sizeBytes ?? null,
    copying: (tablet?.led?.copying ?? []).map(({ broker, bytesLeft }) => ({ broker, bytes_left: bytesLeft })),
    ...(isMoving(assigned) && { adding: assigned.adding, removing: assigned.removing }),
    ...(offline !== undefined && {
      offline: offline.why,
      ...(offline.todo !== undefined && { todo: offline.todo }),
    }),
  }
}
