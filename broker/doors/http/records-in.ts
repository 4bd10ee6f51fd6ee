import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Refusal } from '../../../base/refusals.ts'
import type { Clock } from '../../../base/world.ts'
import type { Acks } from '../../tablet/appending.ts'
import { withBody, type BodyLimits } from './body.ts'
import { recordsInDocs } from './docs-records.ts'
import { behindField, errorBody, invalid, statusOf } from './errors.ts'
import { hasDelicateNumber, parseJson, parseKeepingNumbers } from './json-text.ts'
import { takeLines } from './lines-in.ts'
import { acksOf, encodingOf, parametersOf, type Encoding } from './parameters.ts'
import { isObject, kindOf, recordOf, takeExactValue, type WantedRecord } from './record-in.ts'
import type { Serving } from './serving.ts'
import { Writing, type Placed } from './writing.ts'

/** So many records are handled in one turn of the event loop. */
const recordsPerTurn = 2000

/** How the records of a request are to be written. */
export type HowToWrite = { readonly topic: string; readonly acks: Acks; readonly encoding: Encoding }

export function addRecordsIn(app: FastifyInstance, serving: Serving): void {
  app.post('/v1/topics/:topic/records', { schema: recordsInDocs }, async (request, reply) => {
    const { topic } = request.params as { topic: string }
    const parameters = parametersOf(request.url, ['acks', 'encoding'])
    const how = { topic, acks: acksOf(parameters), encoding: encodingOf(parameters) ?? 'text' }
    refuseContentEncoding(request)
    await serving.router.ensureTopic(topic)
    if (isLines(request)) return takeLines(serving, request, reply, how)
    return withBody(request.raw, bodyLimits(serving), body => takeBody(serving, reply, body, how))
  })
}

export const bodyLimits = ({ world, router, bodies }: Serving): BodyLimits => ({
  clock: world.clock,
  bytesMax: router.settings.httpBodyMaxBytes,
  budget: bodies,
})

const isLines = (request: FastifyRequest): boolean =>
  /^application\/(?:x-)?(?:ndjson|jsonl|jsonlines)\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')

function refuseContentEncoding(request: FastifyRequest): void {
  const encoding = request.headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return
  throw invalid(`The body has the Content-Encoding ${encoding}, which is not taken`, 'Send it as it is.')
}

async function takeBody(
  serving: Serving,
  reply: FastifyReply,
  body: Buffer,
  how: HowToWrite,
): Promise<unknown> {
  const giveBack = await serving.parsing.take(body.length)
  try {
    return await takeJson(serving, reply, body, how)
  } finally {
    giveBack()
  }
}

async function takeJson(
  serving: Serving,
  reply: FastifyReply,
  body: Buffer,
  how: HowToWrite,
): Promise<unknown> {
  const records = await recordsOf(serving.world.clock, body, how.encoding)
  const placed = await writeAll(serving, records, how)
  const first = placed.find(({ sent }) => sent.refusal !== undefined)?.sent.refusal
  const results = placed.map(each => resultOf(each, how.acks))
  if (first === undefined) return reply.code(how.acks === 0 ? 202 : 200).send({ results })
  return reply.code(statusOf(first)).send({ ...errorBody(first), results })
}

/** `{"records": [...]}` or one record. All of them are sound, or none is written. */
async function recordsOf(clock: Clock, body: Buffer, encoding: Encoding): Promise<WantedRecord[]> {
  const json = parseJson(body, 'The body')
  if (!isObject(json)) throw notRecords(`The body must be an object, not ${kindOf(json)}`)
  const text = body.toString()
  const exact = hasDelicateNumber(text) ? (parseKeepingNumbers(text) as typeof json) : undefined
  if (!('records' in json)) {
    if (exact !== undefined) takeExactValue(json, exact)
    return [recordOf(json, encoding)]
  }
  const other = Object.keys(json).find(name => name !== 'records')
  if (other !== undefined) throw notRecords(`${JSON.stringify(other)} stands beside records`)
  const { records } = json
  if (!Array.isArray(records)) throw notRecords(`records must be an array, not ${kindOf(records)}`)
  const sound: WantedRecord[] = []
  await inSlices(clock, records, (record: unknown, index) => {
    if (exact !== undefined) takeExactValue(record, (exact['records'] as unknown[])[index])
    try {
      sound.push(recordOf(record, encoding))
    } catch (error) {
      throw error instanceof Refusal ? behindField(`records[${index}]`, error) : error
    }
  })
  return sound
}

const notRecords = (message: string): Refusal =>
  invalid(message, 'Send one record, {"value": …}, or many, {"records": [{"value": …}, …]}.')

/** Sends the records to their tablets and waits until each is settled. */
export async function writeAll(
  serving: Serving,
  records: readonly WantedRecord[],
  { topic, acks }: HowToWrite,
): Promise<Placed[]> {
  const { router, spread, world, forwarding } = serving
  let resolve: (() => void) | undefined
  const writing = new Writing({ router, clock: world.clock, topic, acks, spread, forwarding }, () => {
    if (writing.settled) resolve?.()
  })
  const placed: Placed[] = []
  await inSlices(
    world.clock,
    records,
    record => placed.push(writing.add(record)),
    () => writing.send(),
  )
  if (!writing.settled) await new Promise<void>(settled => (resolve = settled))
  return placed
}

/** `act` for each item and `after` for each slice of them, the event loop turning in between. */
async function inSlices<Item>(
  clock: Clock,
  items: readonly Item[],
  act: (item: Item, index: number) => void,
  after: () => void = () => {},
): Promise<void> {
  for (let from = 0; from < items.length; from += recordsPerTurn) {
    if (from > 0) await new Promise<void>(turned => clock.endOfTurn(turned))
    for (const [index, item] of items.slice(from, from + recordsPerTurn).entries()) act(item, from + index)
    after()
  }
}

function resultOf({ sent, index, timestampMs }: Placed, acks: Acks): object {
  if (sent.refusal !== undefined) return errorBody(sent.refusal)
  if (acks === 0) return { partition: sent.partition }
  const timestamp = sent.logAppendTimeMs < 0 ? timestampMs : sent.logAppendTimeMs
  return { partition: sent.partition, offset: sent.baseOffset + index, timestamp }
}
