import { expect, test } from 'vitest'
import { rateOf as natsRateOf } from './nats.ts'
import { rateOf as rabbitRateOf } from './rabbitmq.ts'
import { requestsOf } from './redis.ts'

test('redis-benchmark is read by its last line', () => {
  const head =
    '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"\n'
  const line =
    '"XREAD COUNT 100 STREAMS topic 0","18214.94","0.049","0.024","0.047","0.063","0.111","0.223"\n'
  expect(requestsOf(head + line)).toBe(18214.94)
  expect(() => requestsOf(head)).toThrow('redis-benchmark printed')
})

test('PerfTest is read by the average of the whole run', () => {
  const printed =
    'id: test-1, time 1.000 s, sent: 100 msg/s\nid: test-1, sending rate avg: 48211 msg/s\nid: test-1, receiving rate avg: 0 msg/s\n'
  expect(rabbitRateOf(printed, 'sending')).toBe(48211)
  expect(rabbitRateOf(printed, 'receiving')).toBe(0)
  expect(() => rabbitRateOf('id: test-1', 'sending')).toThrow('PerfTest printed')
})

test('nats bench is read by its statistics', () => {
  const printed =
    'Starting JetStream asynchronous publisher benchmark\n\nNATS JetStream asynchronous publisher stats: 248,123 msgs/sec ~ 24 MiB/sec ~ 4.03us\n'
  expect(natsRateOf(printed)).toEqual({ recordsPerSecond: 248123 })
  expect(() => natsRateOf('Starting')).toThrow('nats bench printed')
})
