/**
 * The file of the embedded control store: JSON, a line a topic, with a checksum at its end.
 *
 *     {"format":"stele control store","version":1,
 *     "brokerSettings":{…},
 *     "brokers":[…],
 *     "topics":[
 *     {"name":"orders","id":"…","settings":{…},"tablets":[…]},
 *     …],
 *     "crc32c":123}
 *
 * What a newer Stele has added to the file, to a topic or to a tablet is kept as it is (decision 0010).
 */
import en from 'zod/v4/locales/en.js'
import * as z from 'zod/mini'
import { crc32c } from '../../base/crc32c.ts'
import { epoch } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { broker, id, run, toBroker } from '../broker-json.ts'
import type { TabletAssignment, Topic } from '../model.ts'
import type { State } from './state.ts'

const format = 'stele control store'
const version = 1

/** Topics do not change, so each is written out once and then remembered. */
const lines = new WeakMap<Topic, string>()

function lineOf(topic: Topic): string {
  const known = lines.get(topic)
  if (known !== undefined) return known
  const line = JSON.stringify(topic)
  lines.set(topic, line)
  return line
}

/** The whole file for `state`; the same bytes for the same state. */
export function encodeState(state: State): Buffer {
  const body = [
    `{"format":${JSON.stringify(format)},"version":${version},`,
    `"brokerSettings":${JSON.stringify(state.brokerSettings)},`,
    `"brokers":${JSON.stringify([...state.brokers.values()])},`,
    ...Object.entries(state.others ?? {}).map(
      ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)},`,
    ),
    `"topics":[`,
    `${[...state.topics.values()].map(lineOf).join(',\n')}],`,
  ].join('\n')
  return Buffer.from(`${body}\n"crc32c":${crc32c(Buffer.from(body))}}\n`)
}

/**
 * What the file at `path` says.
 * @throws Refusal KAFKA_STORAGE_ERROR when it is damaged, not ours, or of a newer format
 */
export function decodeState(path: string, content: Buffer): State {
  const file = parse(path, content.toString())
  if (file.version > version) {
    refuse(
      `${path} has format ${file.version} and was written by a newer Stele; this one knows format ${version}`,
      'Start the newer Stele on it',
    )
  }
  const end = content.lastIndexOf('\n"crc32c":')
  if (end < 0 || crc32c(content.subarray(0, end)) !== file.crc32c) {
    damaged(path, 'it does not match its checksum; it was damaged, or edited by hand')
  }
  const read = shape.safeParse(file)
  if (!read.success) damaged(path, z.prettifyError(read.error).replaceAll('\n', ' '))
  return toState(read.data)
}

function parse(path: string, text: string): z.infer<typeof header> {
  if (text.trim() === '') damaged(path, 'it is empty')
  const ours = text.startsWith(`{"format":${JSON.stringify(format)}`)
  try {
    const file = header.safeParse(JSON.parse(text))
    if (file.success) return file.data
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    if (ours) damaged(path, 'it ends early, or is no JSON')
  }
  return refuse(
    `${path} is not a file of Stele's control store`,
    'Put back a good copy of it, or use another data directory',
  )
}

function damaged(path: string, how: string): never {
  refuse(
    `${path} cannot be used: ${how}`,
    'Put back a good copy of it. Without it the topics are unknown; the data of their tablets stays on the disk',
  )
}

function refuse(what: string, todo: string): never {
  throw new Refusal('KAFKA_STORAGE_ERROR', `${what}. ${todo}.`)
}

// zod/mini brings no language along, and so needs a fifth of the memory.
z.config(en())

const header = z.looseObject({
  format: z.literal(format),
  version: z.int().check(z.positive()),
  crc32c: z.optional(z.number()),
})

const settings = z.record(z.string(), z.string())

const found = z.object({
  broker: id,
  incarnation: run,
  epoch: z.int().check(z.gte(-1)),
  end: z.int().check(z.nonnegative()),
  trouble: z.optional(z.enum(['lost', 'offline'])),
})

const shape = z.looseObject({
  brokerSettings: settings,
  brokers: z.array(broker),
  topics: z.array(
    z.looseObject({
      name: z.string(),
      id: z.string(),
      settings,
      tablets: z
        .array(
          z.looseObject({
            epoch: z.pipe(z.int().check(z.nonnegative()), z.transform(epoch)),
            version: z.int().check(z.nonnegative()),
            leader: z.optional(id),
            replicas: z.array(id).check(z.minLength(1)),
            adding: z.array(id),
            removing: z.array(id),
            isr: z.array(z.object({ broker: id, incarnation: run })),
            found: z.optional(z.array(found)),
            unclean: z.optional(z.literal(true)),
          }),
        )
        .check(z.minLength(1)),
    }),
  ),
})

/** JSON leaves out what is undefined; the model spells it out. */
function toState(file: z.infer<typeof shape>): State {
  const { brokerSettings, brokers: records, topics: all, ...others } = file
  for (const name of Object.keys(header.shape)) delete others[name]
  const brokers = records.map(toBroker)
  const topics = all.map((topic): Topic => ({
    ...topic,
    tablets: topic.tablets.map(toTablet),
  }))
  return {
    brokerSettings,
    ...(Object.keys(others).length > 0 && { others }),
    brokers: new Map(brokers.map(broker => [broker.brokerId, broker])),
    topics: new Map(topics.map(topic => [topic.name, topic])),
    topicsById: new Map(topics.map(topic => [topic.id, topic])),
  }
}

function toTablet(tablet: z.infer<typeof shape>['topics'][number]['tablets'][number]): TabletAssignment {
  const { leader, found, unclean, ...rest } = tablet
  return {
    ...rest,
    leader,
    ...(found && { found: found.map(({ trouble, ...held }) => ({ ...held, ...(trouble && { trouble }) })) }),
    ...(unclean && { unclean }),
  }
}
