/** Kafka's own load tools, from Maven Central's jars and with the flags that Kafka's scripts start them with. */
import { kafkaClasspath } from '../../test/wire/java.ts'
import { succeed } from '../../test/wire/processes.ts'
import type { ConsumeLoad, Latencies, ProduceLoad, Produced, Rate, RoundTripLoad } from './peer.ts'

/** As bin/kafka-run-class.sh of Kafka 4.3 has them. */
export const javaFlags = [
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
]
/** As bin/kafka-producer-perf-test.sh and bin/kafka-consumer-perf-test.sh have it. */
const toolHeap = '-Xmx512M'
const limitMs = 900_000

/** @param more what comes after the options */
async function tool(
  name: string,
  options: Readonly<Record<string, string | number>>,
  more: readonly string[] = [],
): Promise<string> {
  const args = [
    ...Object.entries(options).flatMap(([option, value]) => [`--${option}`, String(value)]),
    ...more,
  ]
  const flags = [...javaFlags, toolHeap, '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
  const { stdout } = await succeed('java', [...flags, `org.apache.kafka.tools.${name}`, ...args], {
    environment: { CLASSPATH: await kafkaClasspath() },
    limitMs,
  })
  return stdout.toString()
}

export async function producerPerformance(kafka: string, load: ProduceLoad): Promise<Produced> {
  const { topic, recordBytes, records, acks, batchBytes, perSecond = -1, warmUpRecords } = load
  // At a steady rate it is latency that counts: a client that waits for more to send would be measured with it.
  const patience = perSecond === -1 ? [] : ['linger.ms=0']
  const warmUp = warmUpRecords === undefined ? {} : { 'warmup-records': warmUpRecords }
  const printed = await tool(
    'ProducerPerformance',
    {
      'bootstrap-server': kafka,
      topic,
      'num-records': records,
      'record-size': recordBytes,
      throughput: perSecond,
      ...warmUp,
    },
    ['--command-property', `acks=${acks}`, `batch.size=${batchBytes}`, ...patience],
  )
  return producedOf(printed)
}

/** Of what ProducerPerformance prints the last line counts: when some records were for warming up, it is without them. */
export function producedOf(printed: string): Produced {
  const figure = String.raw`([\d.]+)`
  const ms = (what: string): string => `${figure} ms ${what}`
  const line = new RegExp(
    `records sent, ${figure} records/sec .*, ${ms('avg latency')}, .*, ${ms('50th')}, .*, ${ms('99th')}, ${ms('99.9th')}`,
    'g',
  )
  const found = [...printed.matchAll(line)].at(-1)
  if (found === null || found === undefined) throw new Error(`ProducerPerformance printed: ${printed}`)
  const [recordsPerSecond = NaN, mean = NaN, p50 = NaN, p99 = NaN, p999 = NaN] = found.slice(1).map(Number)
  return { recordsPerSecond, latencies: { mean, p50, p99, p999 } }
}

export async function consumerPerformance(
  kafka: string,
  { topic, records }: Pick<ConsumeLoad, 'topic' | 'records'>,
): Promise<Rate> {
  const where = { 'bootstrap-server': kafka, topic }
  const options = { ...where, 'num-records': records, timeout: 60_000 }
  const printed = await tool('ConsumerPerformance', options, ['--hide-header'])
  return consumedOf(printed)
}

/** Of what ConsumerPerformance prints the last column counts: records a second without what joining the group took. */
export function consumedOf(printed: string): Rate {
  const columns = printed.trim().split('\n').at(-1)?.split(', ') ?? []
  if (columns.length !== 10) throw new Error(`ConsumerPerformance printed: ${printed}`)
  return { recordsPerSecond: Number(columns[9]) }
}

export async function endToEndLatency(kafka: string, load: RoundTripLoad): Promise<Latencies> {
  const printed = await tool('EndToEndLatency', {
    'bootstrap-server': kafka,
    topic: load.topic,
    'num-records': load.records,
    'producer-acks': load.acks,
    'record-size': load.recordBytes,
  })
  return latenciesOf(printed)
}

export function latenciesOf(printed: string): Latencies {
  const mean = /Avg latency: ([\d.]+) ms/.exec(printed)?.[1]
  const found = /50th = (\d+), 99th = (\d+), 99.9th = (\d+)/.exec(printed)
  if (mean === undefined || found === null) throw new Error(`EndToEndLatency printed: ${printed}`)
  const [p50 = NaN, p99 = NaN, p999 = NaN] = found.slice(1).map(Number)
  return { mean: Number(mean), p50, p99, p999 }
}
