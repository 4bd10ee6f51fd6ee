import { expect, test } from 'vitest'
import { consumedOf, latenciesOf, producedOf } from './kafka-tools.ts'

const line = (records: string, rate: string, p99: number): string =>
  `${records} records sent, ${rate} records/sec (97.66 MB/sec), 2.31 ms avg latency, 341.00 ms max latency, 1 ms 50th, 7 ms 95th, ${p99} ms 99th, 120 ms 99.9th.\n`

test('ProducerPerformance is read by its last line: without warm-up when there was one', () => {
  const progress =
    '49990 records sent, 9998.0 records/sec (9.76 MB/sec), 3.1 ms avg latency, 360.0 ms max latency.\n'
  const whole = progress + line('100000', '99980.003999', 41)
  const latencies = { mean: 2.31, p50: 1, p99: 41, p999: 120 }
  expect(producedOf(whole)).toEqual({ recordsPerSecond: 99980.003999, latencies })
  const steady = producedOf(whole + line('75000 steady state', '20000.5', 9))
  expect(steady).toEqual({ recordsPerSecond: 20000.5, latencies: { ...latencies, p99: 9 } })
  expect(() => producedOf(progress)).toThrow('ProducerPerformance printed: 49990')
})

test('ConsumerPerformance is read without what joining the group took', () => {
  const columns =
    '2026-01-01 10:00:00:000, 2026-01-01 10:00:04:000, 95.3674, 23.8419, 1000000, 250000.0000, 500, 3500, 27.2478, 285714.2857'
  expect(consumedOf(`${columns}\n`)).toEqual({ recordsPerSecond: 285714.2857 })
  expect(() => consumedOf('WARNING: Exiting before consuming\n')).toThrow('WARNING')
})

test('EndToEndLatency is read by its last lines', () => {
  const printed = '0\t1.5\n1000\t0.4\nAvg latency: 0.4521 ms\nPercentiles: 50th = 0, 99th = 2, 99.9th = 11\n'
  expect(latenciesOf(printed)).toEqual({ mean: 0.4521, p50: 0, p99: 2, p999: 11 })
  expect(() => latenciesOf('Avg latency: 1 ms')).toThrow('EndToEndLatency printed')
})
