import { readFileSync } from 'node:fs'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HttpBroker } from './broker.fixture.ts'
import { brokerFamilies, partitionFamilies, topicFamilies } from './metrics.ts'

let broker: HttpBroker

beforeAll(async () => {
  broker = await HttpBroker.start()
})

afterAll(() => broker.stop())

type Sample = { readonly name: string; readonly labels: string; readonly value: number }

/** Reads Prometheus' text format, strictly. */
function samplesOf(text: string): { types: Map<string, string>; samples: Sample[] } {
  const types = new Map<string, string>()
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line)
    if (type !== null) types.set(type[1] ?? '', type[2] ?? '')
    if (line === '' || line.startsWith('# ')) continue
    const sample = /^([a-z_][a-z0-9_]*)(\{(?:[a-z_]+="[^"\\\n]*",?)*\})? (\S+)$/.exec(line)
    if (sample === null) throw new Error(`no sample: ${line}`)
    samples.push({ name: sample[1] ?? '', labels: sample[2] ?? '', value: Number(sample[3]) })
  }
  return { types, samples }
}

const scrape = async () => samplesOf((await broker.ask('/metrics')).text)

test('tablets are counted', async () => {
  await broker.makeTopic('counted', 2)
  await broker.write('counted', { value: 'a', partition: 1 }, { value: 'b', partition: 1 })
  await broker.read('counted', 1)
  const { samples } = await scrape()
  const value = (name: string, labels: string): number | undefined =>
    samples.find(sample => sample.name === name && sample.labels === labels)?.value
  expect(value('kafka_server_brokertopicmetrics_messagesin_total', '{topic="counted"}')).toBe(2)
  expect(value('kafka_server_brokertopicmetrics_bytesin_total', '{topic="counted"}')).toBeGreaterThan(60)
  expect(value('kafka_server_brokertopicmetrics_bytesout_total', '{topic="counted"}')).toBeGreaterThan(60)
  expect(value('kafka_log_log_logendoffset', '{topic="counted",partition="1"}')).toBe(2)
  expect(value('kafka_log_log_logendoffset', '{topic="counted",partition="0"}')).toBe(0)
  expect(value('stele_tablet_high_watermark', '{topic="counted",partition="1"}')).toBe(2)
  expect(value('kafka_server_replicamanager_partitioncount', '')).toBe(2)
  expect(value('kafka_server_replicamanager_leadercount', '')).toBe(2)
  expect(value('stele_broker_ready', '')).toBe(1)
})

test('the process is measured', async () => {
  const { samples } = await scrape()
  const names = new Set(samples.map(sample => sample.name))
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'nodejs_eventloop_lag_p99_seconds',
  ]) {
    expect(names).toContain(name)
  }
})

test('docs/metrics.md names what there is, each with its type', async () => {
  const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')
  const documented = new Map(
    [...page.matchAll(/^\| `(\w+)` *\| (\w+) *\|/gm)].map(match => [match[1] ?? '', match[2] ?? '']),
  )
  const process = new Registry()
  collectDefaultMetrics({ register: process })
  const defaults = new Set((await process.getMetricsAsJSON()).map(metric => metric.name))
  const { types } = await scrape()
  const own = new Map([...types].filter(([name]) => !defaults.has(name)))
  expect(own.size).toBeGreaterThan(10)
  // Brokers that are alone have no Lease.
  own.set('stele_broker_lease_age_seconds', 'gauge')
  expect(documented).toEqual(own)
})

test('names and help are those of Prometheus', () => {
  for (const { name, type, help } of [...brokerFamilies, ...topicFamilies, ...partitionFamilies]) {
    expect(name).toMatch(/^(?:kafka|stele)_[a-z_]+$/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
    expect(help).toMatch(/^[A-Z0-9].*\.$/)
  }
})
