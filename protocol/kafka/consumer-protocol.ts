// Enters: the bytes that consumers hand each other through their group: subscriptions and assignments. Leaves: the topics in
// them, for people who look at a group and for members of ours; and back.
// Always holds: what cannot be read is undefined, never an error: to the group itself these bytes mean nothing.
//
//   subscription  version i16 | topics [ string ] | user data | what later versions add
//   assignment    version i16 | topics [ string, partitions [ i32 ] ] | user data
import { MalformedRequest } from './malformed.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** The protocol type of consumers; Kafka Connect's workers and others use their own. */
export const consumerProtocolType = 'consumer'

export type AssignedTopic = { readonly topic: string; readonly partitions: readonly number[] }

/** The topics that a consumer has subscribed to. */
export const subscribedTopics = (subscription: Buffer): readonly string[] | undefined =>
  attempt(subscription, reader => list(reader, 2, () => text(reader)))

/** The partitions that a consumer was given. */
export const assignedTopics = (assignment: Buffer): readonly AssignedTopic[] | undefined =>
  attempt(assignment, reader =>
    list(reader, 6, () => ({ topic: text(reader), partitions: list(reader, 4, () => reader.int32()) })),
  )

/** What a consumer says of itself that subscribes to `topics`: layout 0, which every client reads. */
export const subscriptionTo = (topics: readonly string[]): Buffer =>
  written(writer => writeList(writer, topics, topic => writer.string(topic, false)))

/** What a consumer is given, in layout 0. */
export const assignmentOf = (assigned: readonly AssignedTopic[]): Buffer =>
  written(writer =>
    writeList(writer, assigned, ({ topic, partitions }) => {
      writer.string(topic, false)
      writeList(writer, partitions, partition => writer.int32(partition))
    }),
  )

function written(write: (writer: Writer) => void): Buffer {
  const writer = new Writer(256)
  writer.int16(0)
  write(writer)
  // No user data.
  writer.count(-1, false)
  return writer.take()
}

function writeList<T>(writer: Writer, elements: readonly T[], write: (element: T) => void): void {
  writer.count(elements.length, false)
  for (const element of elements) write(element)
}

function attempt<T>(bytes: Buffer, read: (reader: Reader) => T): T | undefined {
  const reader = new Reader(bytes)
  try {
    return reader.int16() < 0 ? undefined : read(reader)
  } catch (error) {
    if (error instanceof MalformedRequest) return undefined
    throw error
  }
}

function list<T>(reader: Reader, elementBytesMin: number, element: () => T): T[] {
  const elements: T[] = []
  for (let left = reader.count(false, elementBytesMin); left > 0; left--) elements.push(element())
  return elements
}

function text(reader: Reader): string {
  const length = reader.stringLength(false)
  return length < 0 ? reader.fail('a topic without a name') : reader.text(length)
}
