import { unreachable } from '../../base/assert.ts'
import { BrokerHttp, topicPath, type TopicDescription } from '../broker-http.ts'
import { Failure } from '../failure.ts'
import { write } from '../output.ts'
import { pages, type Reading } from './pages.ts'
import type { Position } from './position.ts'
import { printed } from './print.ts'

type Options = {
  readonly server: URL
  readonly from: Position
  readonly partition?: number
  readonly follow?: true
  readonly max?: number
  readonly keySeparator?: string
  readonly json?: true
}
type Described = TopicDescription['partitions'][number]
type Partition = Described & { readonly log_start_offset: number; readonly high_watermark: number }

/**
 * Prints the records of a topic: every partition in turn up to where it ends now, or with --follow all at once and without
 * end. Ctrl-C is how one ends following, so that is exit code 0; a reading that was to end is interrupted by it.
 */
export async function consume(topic: string, options: Options): Promise<void> {
  const { follow = false, max = Number.POSITIVE_INFINITY } = options
  const broker = new BrokerHttp(options.server)
  const stop = new AbortController()
  if (follow) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0))
  }
  const description = await broker.json<TopicDescription>({ method: 'GET', path: topicPath(topic) })
  const form = { json: options.json ?? false, keySeparator: options.keySeparator }
  let left = max
  let writing = Promise.resolve()

  const readPartition = async (partition: Partition) => {
    const reading = readingOf(topic, partition, options.from, follow, stop.signal)
    for await (const page of pages(broker, reading)) {
      const { output, records } = printed(page, form, left)
      left -= records
      writing = writing.then(() => write(output))
      await writing
      if (left === 0) stop.abort()
      if (stop.signal.aborted) return
    }
  }
  const wanted = chosen(description, options.partition)
  const unread = wanted.filter(partition => !isLed(partition)).map(({ partition }) => partition)
  if (follow && unread.length > 0) throw withoutLeader(topic, unread)
  const partitions = wanted.filter(isLed).filter(partition => follow || !atItsEnd(partition, options.from))
  try {
    if (follow) await Promise.all(partitions.map(readPartition))
    else for (const partition of partitions) if (left > 0) await readPartition(partition)
  } catch (error) {
    if (left > 0) throw error
  } finally {
    stop.abort()
    broker.close()
  }
  // What could be read is printed, but nobody shall take it for all there is.
  if (left > 0 && unread.length > 0) throw withoutLeader(topic, unread)
}

const isLed = (partition: Described): partition is Partition =>
  partition.log_start_offset !== null && partition.high_watermark !== null

const withoutLeader = (topic: string, partitions: readonly number[]): Failure =>
  new Failure(
    `${partitions.length === 1 ? 'partition' : 'partitions'} ${partitions.join(', ')} of ${topic} cannot be read now: the leader does not answer, or there is none`,
    'Try again when its broker is back.',
  )

function chosen(topic: TopicDescription, partition: number | undefined): readonly Described[] {
  if (partition === undefined) return topic.partitions
  const found = topic.partitions.filter(one => one.partition === partition)
  if (found.length > 0) return found
  throw new Failure(
    `there is no partition ${partition} in ${topic.name}`,
    topic.partitions.length === 1
      ? 'It has only partition 0.'
      : `It has 0 to ${topic.partitions.length - 1}.`,
  )
}

/** Whether a reading that does not wait would find nothing. */
const atItsEnd = (partition: Partition, from: Position): boolean =>
  from.kind === 'end' ||
  partition.log_start_offset === partition.high_watermark ||
  (from.kind === 'offset' && from.offset >= partition.high_watermark)

function readingOf(
  topic: string,
  partition: Partition,
  from: Position,
  follow: boolean,
  signal: AbortSignal,
): Reading {
  const until = follow ? undefined : partition.high_watermark
  return { topic, partition: partition.partition, from: startOf(partition, from), until, signal }
}

function startOf(partition: Partition, from: Position): Reading['from'] {
  switch (from.kind) {
    case 'beginning':
      return { offset: partition.log_start_offset }
    case 'end':
      return { offset: partition.high_watermark }
    case 'offset':
      return { offset: from.offset }
    case 'time':
      return { timestamp: from.ms }
    default:
      return unreachable(from)
  }
}
