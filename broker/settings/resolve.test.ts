import { expect, test } from 'vitest'
import { Refusal } from '../../base/refusals.ts'
import { brokerRows, topicRows } from '../../control/settings/definitions.ts'
import { describeBroker, describeTopic, overruled, resolveBroker, resolveTopic } from './resolve.ts'

const none = { dynamic: {}, static: {} }
const find = (all: ReturnType<typeof describeTopic>, name: string) => all.find(one => one.name === name)
const messageOf = (act: () => unknown): string => {
  try {
    act()
    return 'not refused'
  } catch (error) {
    if (error instanceof Refusal) return `${error.code}: ${error.message}`
    throw error
  }
}

test("what holds when nothing is set are Kafka's defaults", () => {
  expect(resolveTopic(none)).toEqual({
    segmentBytes: 1_073_741_824,
    segmentMs: 604_800_000,
    segmentIndexBytes: 10_485_760,
    indexIntervalBytes: 4096,
    retentionMs: 604_800_000,
    retentionBytes: Infinity,
    cleanupPolicy: new Set(['delete']),
    minCleanableDirtyRatio: 0.5,
    minCompactionLagMs: 0,
    maxCompactionLagMs: 2 ** 63,
    deleteRetentionMs: 86_400_000,
    maxMessageBytes: 1_048_588,
    compressionType: 'producer',
    messageTimestampType: 'CreateTime',
    messageTimestampBeforeMaxMs: 2 ** 63,
    messageTimestampAfterMaxMs: 3_600_000,
    minInsyncReplicas: 1,
    replication: 'in-sync',
    uncleanLeaderElectionEnable: false,
    leaderThrottledReplicas: new Set(),
    followerThrottledReplicas: new Set(),
    fileDeleteDelayMs: 60_000,
    flush: 'fsync',
  })
  expect(resolveBroker(none)).toMatchObject({
    brokerId: 0,
    listeners: [
      { door: 'kafka', host: 'localhost', port: 9092 },
      { door: 'http', host: 'localhost', port: 8080 },
    ],
    advertisedListeners: [],
    autoCreateTopicsEnable: true,
    socketRequestMaxBytes: 104_857_600,
    fetchMaxBytes: 57_671_680,
    logFile: '',
  })
})

test('the nearest source wins', () => {
  const sources = {
    topic: { 'segment.bytes': '100' },
    dynamic: { 'log.segment.bytes': '200', 'log.roll.ms': '20' },
    static: { 'log.segment.bytes': '300', 'log.roll.ms': '30', 'log.index.interval.bytes': '3' },
  }
  const { segmentBytes, segmentMs, indexIntervalBytes, maxMessageBytes } = resolveTopic(sources)
  expect({ segmentBytes, segmentMs, indexIntervalBytes, maxMessageBytes }).toEqual({
    segmentBytes: 100,
    segmentMs: 20,
    indexIntervalBytes: 3,
    maxMessageBytes: 1_048_588,
  })
})

test.each([
  [{ 'log.retention.hours': '2' }, 7_200_000],
  [{ 'log.retention.hours': '2', 'log.retention.minutes': '3' }, 180_000],
  [{ 'log.retention.hours': '2', 'log.retention.minutes': '3', 'log.retention.ms': '4' }, 4],
  [{ 'log.retention.hours': '-1' }, Infinity],
  [{ 'log.retention.ms': '9223372036854775807' }, 2 ** 63],
])('%j keeps records %d ms', (fixed, retentionMs) => {
  expect(resolveTopic({ dynamic: {}, static: fixed }).retentionMs).toBe(retentionMs)
})

test('node.id is broker.id', () => {
  expect(resolveBroker({ dynamic: {}, static: { 'node.id': '7' } }).brokerId).toBe(7)
})

test('a description tells every value given and where it was', () => {
  const sources = {
    topic: { 'retention.ms': '1' },
    dynamic: { 'log.retention.ms': '2' },
    static: { 'log.retention.hours': '3' },
  }
  expect(find(describeTopic(sources), 'retention.ms')).toEqual({
    name: 'retention.ms',
    value: '1',
    source: 'topic',
    type: 'long',
    readOnly: false,
    doc: topicRows.retentionMs.doc,
    synonyms: [
      { name: 'retention.ms', value: '1', source: 'topic' },
      { name: 'log.retention.ms', value: '2', source: 'dynamic-default-broker' },
      { name: 'log.retention.hours', value: '3', source: 'static-broker' },
      { name: 'log.retention.ms', value: '604800000', source: 'default' },
    ],
  })
  expect(find(describeBroker(sources), 'log.retention.ms')).toMatchObject({
    value: '2',
    source: 'dynamic-default-broker',
    synonyms: [{ value: '2' }, { value: '3' }, { value: '604800000' }],
  })
  const fixed = find(describeBroker({ dynamic: {}, static: { 'log.roll.hours': '1' } }), 'log.roll.ms')
  expect(fixed).toMatchObject({ value: '3600000', source: 'static-broker' })
  expect(find(describeBroker(none), 'num.partitions')).toMatchObject({ readOnly: true, source: 'default' })
})

test('every setting is described once, under its own name', () => {
  const topic = describeTopic(none).map(one => one.name)
  const broker = describeBroker(none).map(one => one.name)
  expect(topic).toHaveLength(Object.keys(topicRows).length)
  const ofTopicsAlone = Object.values(topicRows).filter(row => row.broker === undefined)
  expect(broker).toHaveLength(topic.length - ofTopicsAlone.length + Object.keys(brokerRows).length)
  expect(new Set(topic).size).toBe(topic.length)
  expect(new Set(broker).size).toBe(broker.length)
})

test('names that were kept by another version are passed over, values that make no sense are told', () => {
  expect(resolveTopic({ ...none, topic: { 'no.such': '1' } })).toEqual(resolveTopic(none))
  expect(messageOf(() => resolveTopic({ ...none, topic: { 'segment.bytes': 'abc' } }))).toBe(
    'INVALID_CONFIG: segment.bytes must be a whole number of at least 14, not "abc"',
  )
})

test.each([
  ['PLAINTEXT://:9092', 'must name a host and a port'],
  ['PLAINTEXT://0.0.0.0:9092', 'must name a host and a port'],
  ['PLAINTEXT://a:0', 'must name a host and a port'],
  ['HTTP://a:1', 'names the http door, listeners does not'],
])('clients cannot be told %s', (told, why) => {
  const fixed = { listeners: 'PLAINTEXT://:9092', 'advertised.listeners': told }
  expect(messageOf(() => resolveBroker({ dynamic: {}, static: fixed }))).toContain(why)
})

test('what was changed while brokers ran goes before what a start says, and is told by name', () => {
  const dynamic = { 'log.retention.ms': '3600000', 'log.segment.bytes': '1000' }
  expect(overruled({ dynamic, static: {} })).toEqual([])
  expect(overruled({ dynamic, static: { 'log.segment.bytes': '1000', 'log.roll.ms': '5' } })).toEqual([])
  expect(overruled({ dynamic, static: { 'log.retention.hours': '1' } })).toEqual([])
  expect(overruled({ dynamic, static: { 'log.retention.hours': '2', 'log.segment.bytes': '2000' } })).toEqual(
    ['log.segment.bytes', 'log.retention.ms'],
  )
})
