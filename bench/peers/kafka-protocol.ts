/** What Kafka and Stele share: the first answer that counts, topics, and the tools. Kafka's own tools load both, as they are published. */
import { kafkajsClient } from '../../test/wire/topics.ts'
import { fetchFrame, fetchPlaces } from '../frames.ts'
import { consumerPerformance, endToEndLatency, producerPerformance } from './kafka-tools.ts'
import type { RunningPeer } from './peer.ts'
import { answersTo, type Server } from './server.ts'

const recordBytesMax = 1 << 20

/** Whether a Fetch is answered; of a topic: with records. */
export function fetchIsAnswered(port: number, topic?: string): Promise<boolean> {
  const { frame, offsetAt } = fetchFrame(topic ?? 'not-there', 0, recordBytesMax)
  frame.writeBigInt64BE(0n, offsetAt)
  const { errorAt, headBytes } = fetchPlaces(topic ?? 'not-there')
  return answersTo(port, frame, answer => {
    if (topic === undefined) return answer.length > 4
    return answer.length > headBytes + 100 && answer.readInt16BE(errorAt) === 0
  })
}

export function overKafka(port: number, server: Server, settings: string, http?: string): RunningPeer {
  const kafka = `127.0.0.1:${port}`
  const withAdmin = async (
    act: (admin: ReturnType<ReturnType<typeof kafkajsClient>['admin']>) => unknown,
  ) => {
    const admin = kafkajsClient(kafka).admin()
    await admin.connect()
    try {
      await act(admin)
    } finally {
      await admin.disconnect()
    }
  }
  return {
    addresses: { kafka, ...(http === undefined ? {} : { http }) },
    server,
    settings,
    createTopic: topic =>
      withAdmin(admin => admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1 }] })),
    deleteTopic: topic => withAdmin(admin => admin.deleteTopics({ topics: [topic] })),
    produce: load => producerPerformance(kafka, load),
    consume: load => consumerPerformance(kafka, load),
    roundTrips: load => endToEndLatency(kafka, load),
  }
}
