import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { beginResponse, endFrame } from '../../../../protocol/kafka/frame.ts'
import type { Reader } from '../../../../protocol/kafka/reader.ts'
import type { Answer, Arrival } from '../answer.ts'
import type { Outgoing } from '../outgoing.ts'
import { codeOf } from './handler.ts'

type Topic = { readonly name: string; readonly partitions: readonly number[] }

/**
 * Produce before version 3 carries record formats from before batches. ApiVersions has to list these versions all the same
 * (librdkafka turns compression off otherwise), so who uses them is told why not in the form he understands.
 *
 *   request    acks i16 | timeoutMs i32 | topics [ name string | partitions [ index i32 | records bytes ] ]
 *   response   topics [ name | partitions [ index i32 | error i16 | baseOffset i64 | appendTimeMs i64 (2) ] ] | throttleMs i32 (1)
 */
export function oldProduce({ connection, header, reader }: Arrival): Answer | undefined {
  const { apiVersion, correlationId } = header
  const acks = reader.int16()
  reader.int32()
  const topics = readTopics(reader)
  if (acks === 0) {
    connection.broken(`Produce version ${apiVersion} is not served`)
    return undefined
  }
  return {
    ready: true,
    pipelined: true,
    write: out => writeRefusal(out, apiVersion, correlationId, topics),
    drop: () => {},
  }
}

function readTopics(reader: Reader): Topic[] {
  const topics: Topic[] = []
  for (let t = reader.count(false, 6); t > 0; t--) {
    const name = reader.text(Math.max(0, reader.stringLength(false)))
    const partitions: number[] = []
    for (let p = reader.count(false, 8); p > 0; p--) {
      partitions.push(reader.int32())
      reader.skip(Math.max(0, reader.bytesLength(false)))
    }
    topics.push({ name, partitions })
  }
  return topics
}

function writeRefusal(
  { writer }: Outgoing,
  version: number,
  correlationId: number,
  topics: readonly Topic[],
): void {
  const begin = beginResponse(writer, produce, version, correlationId)
  writer.count(topics.length, false)
  for (const { name, partitions } of topics) {
    writer.string(name, false)
    writer.count(partitions.length, false)
    for (const partition of partitions) {
      writer.int32(partition)
      writer.int16(codeOf('UNSUPPORTED_VERSION'))
      writer.int64(-1)
      if (version >= 2) writer.int64(-1)
    }
  }
  if (version >= 1) writer.int32(0)
  endFrame(writer, begin)
}
