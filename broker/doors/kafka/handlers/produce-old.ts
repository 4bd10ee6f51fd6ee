import { produce } from '../../../../protocol/kafka/apis/produce.ts'
import { encodeResponse } from '../../../../protocol/kafka/frame.ts'
import type { Answer, Arrival } from '../answer.ts'
import { codeOf } from './handler.ts'

/**
 * Produce before version 3 carries record formats from before batches. ApiVersions has to list these versions all the same
 * (librdkafka turns compression off otherwise), so who uses them is told why not in the form he understands.
 */
export function oldProduce({ connection, header, reader }: Arrival): Answer | undefined {
  const { apiVersion, correlationId } = header
  const { acks, topicData } = produce.decodeRequest(reader, apiVersion)
  if (acks === 0) {
    connection.broken(`Produce version ${apiVersion} is not served`)
    return undefined
  }
  const responses = topicData.map(({ name, partitionData }) => ({
    name,
    partitionResponses: partitionData.map(({ index }) => ({
      index,
      errorCode: codeOf('UNSUPPORTED_VERSION'),
      baseOffset: -1,
    })),
  }))
  return {
    ready: true,
    pipelined: true,
    write: ({ writer }) => encodeResponse(writer, produce, apiVersion, correlationId, { responses }),
    drop: () => {},
  }
}
