import { once } from 'node:events'
import { connect } from 'node:net'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import { decodeResponse, encodeRequest } from '../../../protocol/kafka/frame.ts'
import { sealBatch } from '../../../protocol/kafka/record-batch.ts'
import { Writer } from '../../../protocol/kafka/writer.ts'

/** Sends one batch as a Kafka client would, and answers its error code. */
export async function produceBatch(address: string, topic: string, batch: Buffer): Promise<number> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  try {
    const writer = new Writer()
    encodeRequest(writer, produce, {
      version: 9,
      correlationId: 1,
      clientId: 'test',
      body: {
        transactionalId: null,
        acks: -1,
        timeoutMs: 30_000,
        topicData: [{ name: topic, partitionData: [{ index: 0, records: batch }] }],
      },
    })
    socket.write(writer.take())
    const [frame] = (await once(socket, 'data')) as [Buffer]
    const { body } = decodeResponse(frame.subarray(4), produce, 9)
    return body.responses[0]?.partitionResponses[0]?.errorCode ?? -1
  } finally {
    socket.destroy()
  }
}

/** The batch with what stands behind its header replaced, and a checksum that fits. */
export function withRecords(batch: Buffer, records: Buffer): Buffer {
  const changed = Buffer.concat([batch.subarray(0, 61), records])
  changed.writeInt32BE(changed.length - 12, 8)
  sealBatch(changed, 0)
  return changed
}
