// What do the codecs of the hot path cost for a request of one partition? Prints nanoseconds an operation, best of several rounds.
import { fetch } from '../protocol/kafka/apis/fetch.ts'
import { produce } from '../protocol/kafka/apis/produce.ts'
import { FetchResponseWriter } from '../protocol/kafka/fetch-response.ts'
import { encodeRequest, RequestHeader } from '../protocol/kafka/frame.ts'
import { ProduceRequest } from '../protocol/kafka/produce-request.ts'
import { ProduceResponseWriter } from '../protocol/kafka/produce-response.ts'
import { Reader } from '../protocol/kafka/reader.ts'
import { Writer } from '../protocol/kafka/writer.ts'

const rounds = 7
const perRound = 300_000
const topic = 'orders-by-customer'
const clientId = 'bench-producer-1'

const requests = new Writer()
const responses = new Writer()
const reader = new Reader()
const header = new RequestHeader()

function produceFrame(version: number): Buffer {
  const partitionData = [{ index: 3, records: Buffer.alloc(200) }]
  const body = { acks: -1, timeoutMs: 30_000, topicData: [{ name: topic, partitionData }] }
  encodeRequest(requests, produce, { version, correlationId: 7, clientId, body })
  return requests.take()
}

function fetchFrame(version: number): Buffer {
  const partitions = [{ partition: 3, fetchOffset: 123_456_789, partitionMaxBytes: 1_048_576 }]
  const body = { maxWaitMs: 500, minBytes: 1, topics: [{ topic, partitions }] }
  encodeRequest(requests, fetch, { version, correlationId: 7, clientId, body })
  return requests.take()
}

function produceWalk(version: number): () => number {
  const frame = produceFrame(version)
  const request = new ProduceRequest()
  return () => {
    reader.reset(frame, 4, frame.length)
    header.read(reader)
    request.read(reader, header.apiVersion)
    return request.partitionCount
  }
}

function produceResponse(version: number): () => number {
  const response = new ProduceResponseWriter(responses)
  return () => {
    responses.reset()
    response.begin(version, 7, 1)
    response.topic(topic, 1)
    response.partition(3, 0, 123_456_789, -1, 0)
    response.finish()
    return responses.length
  }
}

function fetchDecode(version: number): () => number {
  const frame = fetchFrame(version)
  return () => {
    reader.reset(frame, 4, frame.length)
    header.read(reader)
    return fetch.decodeRequest(reader, header.apiVersion).topics.length
  }
}

function fetchResponseHead(version: number): () => number {
  const response = new FetchResponseWriter()
  const pieces = [Buffer.alloc(100_000)]
  return () => {
    response.begin(version, 7, 1)
    response.topic(topic, 1)
    response.partition(3, 0, 123_456_789, 123_456_789, 0, 100_000, pieces)
    return response.finish().length
  }
}

function nanoseconds(act: () => number): number {
  let best = Infinity
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now()
    for (let i = 0; i < perRound; i++) act()
    best = Math.min(best, performance.now() - begin)
  }
  return (best / perRound) * 1e6
}

const questions: [string, (version: number) => () => number, number[]][] = [
  ['produce request walk', produceWalk, [7, 12]],
  ['produce response write', produceResponse, [7, 12]],
  ['fetch request decode', fetchDecode, [4, 11, 12]],
  ['fetch response head', fetchResponseHead, [4, 11, 12]],
]
for (const [name, make, versions] of questions) {
  for (const version of versions) {
    const cost = nanoseconds(make(version)).toFixed(0)
    process.stdout.write(`${name.padEnd(24)} v${String(version).padEnd(3)} ${cost.padStart(6)} ns/op\n`)
  }
}
