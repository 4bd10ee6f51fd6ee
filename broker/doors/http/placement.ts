/**
 * Who leads a topic's partitions and where their replicas are, as users want it. In come elections and moves of one topic's partitions; out goes what became of
 * each, or why it was refused: what one partition is refused does not keep the others from it.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { brokerId } from '../../../base/quantities.ts'
import { Refusal } from '../../../base/refusals.ts'
import type { Topic } from '../../../control/model.ts'
import { isMoving, targetOf } from '../../../control/moves.ts'
import { electUnclean, prefer } from '../../router/elections.ts'
import type { WantedMove } from '../../router/moves.ts'
import type { Router } from '../../router/router.ts'
import { withBody } from './body.ts'
import { electDocs, moveDocs } from './docs-placement.ts'
import { errorBody, invalid, type ErrorBody } from './errors.ts'
import { parametersOf } from './parameters.ts'
import { isObject, kindOf } from './record-in.ts'
import { bodyLimits } from './records-in.ts'
import type { Serving } from './serving.ts'
import { booleanOf, fieldsOf, topicAsked } from './topics.ts'

type Elected = {
  readonly partition: number
  readonly leader: number | null
  readonly elected: boolean
  readonly error?: ErrorBody['error']
}

/** A preferred leader elsewhere gets its tablets after five seconds without being asked for. */
const electMs = { default: 15_000, max: 60_000 }
/** More would be a body of megabytes. */
const movesMax = 10_000

export function addPlacement(app: FastifyInstance, serving: Serving): void {
  const { router } = serving
  const bodyOf = (request: FastifyRequest, fields: readonly string[]): Promise<Record<string, unknown>> =>
    withBody(request.raw, bodyLimits(serving), async body => fieldsOf(body, fields))

  app.post('/v1/topics/:topic/elections', { schema: electDocs }, async request => {
    parametersOf(request.url, [])
    const fields = await bodyOf(request, ['partitions', 'unclean', 'timeout_ms'])
    const topic = topicAsked(request, router)
    const unclean = booleanOf('unclean', fields['unclean'])
    const timeoutMs = numberOf('timeout_ms', fields['timeout_ms'] ?? electMs.default, electMs.max)
    const partitions = partitionsOf(topic, fields['partitions'])
    const elected = partitions.map(partition => elect(serving, topic, partition, unclean, timeoutMs))
    return { elections: await Promise.all(elected) }
  })

  app.post('/v1/topics/:topic/moves', { schema: moveDocs }, async request => {
    parametersOf(request.url, [])
    const { moves } = await bodyOf(request, ['moves'])
    const topic = topicAsked(request, router)
    const wanted = movesOf(topic, moves)
    const refused = await router.moveReplicas(topic, wanted)
    return {
      moves: wanted.map(({ partition }) => {
        const refusal = refused.get(partition)
        return { ...placesOf(router, topic, partition), ...(refusal && errorBody(refusal)) }
      }),
    }
  })
}

async function elect(
  { router, world }: Serving,
  { name, id }: Topic,
  partition: number,
  unclean: boolean,
  timeoutMs: number,
): Promise<Elected> {
  const told = (elected: boolean, refusal?: Refusal): Elected => ({
    partition,
    leader: router.topicById(id)?.tablets[partition]?.leader ?? null,
    elected,
    ...(refusal && errorBody(refusal)),
  })
  try {
    const deadlineMs = world.clock.monotonicMs() + timeoutMs
    await (unclean ? electUnclean : prefer)(router, world.clock, name, partition, deadlineMs)
    return told(true)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return error.code === 'ELECTION_NOT_NEEDED' ? told(false) : told(false, error)
  }
}

/** Where it shall be, and what is under way. */
function placesOf(router: Router, { id }: Topic, partition: number): object {
  const now = router.topicById(id)?.tablets[partition]
  if (now === undefined) return { partition }
  const { adding, removing } = now
  return { partition, replicas: targetOf(now), ...(isMoving(now) && { adding, removing }) }
}

/** Those that are named, each once, or all. */
function partitionsOf({ name, tablets }: Topic, json: unknown): number[] {
  if (json === undefined) return [...tablets.keys()]
  if (!Array.isArray(json) || json.length === 0)
    throw invalid(
      `partitions must be an array of numbers, not ${kindOf(json)}`,
      'Leave it out for all of them.',
    )
  const partitions = json.map((one: unknown) => partitionOf(name, tablets.length, one))
  if (new Set(partitions).size < partitions.length) throw invalid('partitions names one of them twice')
  return partitions
}

/** @throws Refusal UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST */
function partitionOf(topic: string, count: number, json: unknown): number {
  const partition = numberOf('a partition', json, 2 ** 31 - 1)
  if (partition < count) return partition
  throw new Refusal(
    'UNKNOWN_TOPIC_OR_PARTITION',
    `There is no partition ${partition} of ${topic}: it has 0 to ${count - 1}`,
  )
}

function movesOf(topic: Topic, json: unknown): WantedMove[] {
  if (!Array.isArray(json) || json.length === 0 || json.length > movesMax)
    throw invalid(`moves must be an array of 1 to ${movesMax} moves, not ${kindOf(json)}`)
  const moves = json.map((one: unknown): WantedMove => {
    if (!isObject(one)) throw invalid(`A move must be an object, not ${kindOf(one)}`)
    const { partition, replicas, ...others } = one
    const [other] = Object.keys(others)
    if (other !== undefined)
      throw invalid(`${JSON.stringify(other)} is no field of a move`, 'It takes partition, replicas.')
    if (replicas !== null && !Array.isArray(replicas))
      throw invalid(
        `replicas of a move must be an array of brokers, not ${kindOf(replicas)}`,
        'Say null to take back what is under way.',
      )
    return {
      partition: partitionOf(topic.name, topic.tablets.length, partition),
      target: replicas?.map((id: unknown) => brokerId(numberOf('a broker', id, 2 ** 31 - 1))),
      mayResize: true,
    }
  })
  if (new Set(moves.map(({ partition }) => partition)).size < moves.length)
    throw invalid('moves names a partition twice')
  return moves
}

function numberOf(what: string, json: unknown, most: number): number {
  if (typeof json === 'number' && Number.isInteger(json) && json >= 0 && json <= most) return json
  throw invalid(`${what} must be a whole number from 0 to ${most}, not ${JSON.stringify(json).slice(0, 60)}`)
}
