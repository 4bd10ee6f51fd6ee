/**
 * Enters: what the door counts in plain numbers while it works. Leaves: Prometheus metrics, made when somebody asks for them.
 * Always holds: nothing of prom-client runs on the way of a request.
 */
import { Counter, Gauge, type Metric, type Registry } from 'prom-client'

/** Upper bounds of a duration's buckets, in milliseconds. */
const boundsMs = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000]

/** How long things took: a count for each bucket. */
class Durations {
  readonly counts: number[] = [...boundsMs, Infinity].map(() => 0)
  sumMs = 0

  observe(ms: number): void {
    let bucket = 0
    while (bucket < boundsMs.length && ms > (boundsMs[bucket] ?? 0)) bucket += 1
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sumMs += ms
  }
}

/** Everything the door counts. */
export class Counters {
  /** Requests taken, by the name of their API. */
  readonly requests = new Map<string, number>()
  bytesIn = 0
  bytesOut = 0
  connections = 0
  connectionsTaken = 0
  /** Closed at once because there were too many. */
  connectionsRefused = 0
  /** Closed by the broker for what the client did or did not do. */
  connectionsBroken = 0
  malformed = 0
  /** Batches of Produce requests that were refused. */
  produceRefused = 0
  /** Bytes of batches that consumers were given by replicas that follow. */
  followerBytesOut = 0
  readonly produceMs = new Durations()
  readonly fetchMs = new Durations()

  request(api: string): void {
    this.requests.set(api, (this.requests.get(api) ?? 0) + 1)
  }
}

/** What is held now, asked when the metrics are read. */
export type Held = {
  readonly frameBytes: () => number
  readonly fetchBytes: () => number
  readonly waitingFetches: () => number
}

/** Registers the door's metrics; each reads `counters` when it is collected. */
export function registerMetrics(registry: Registry, counters: Counters, held: Held): void {
  const prefix = 'stele_kafka'
  const metrics = [
    rising(`${prefix}_bytes_in_total`, 'Bytes received', () => counters.bytesIn),
    rising(`${prefix}_bytes_out_total`, 'Bytes answered', () => counters.bytesOut),
    rising(`${prefix}_connections_total`, 'Connections taken', () => counters.connectionsTaken),
    rising(
      `${prefix}_connections_refused_total`,
      'Connections beyond max.connections',
      () => counters.connectionsRefused,
    ),
    rising(
      `${prefix}_connections_broken_total`,
      'Connections closed for what the client did or did not do',
      () => counters.connectionsBroken,
    ),
    rising(`${prefix}_malformed_requests_total`, 'Requests that could not be read', () => counters.malformed),
    rising(`${prefix}_produce_refused_total`, 'Batches that Produce refused', () => counters.produceRefused),
    rising(
      `${prefix}_follower_bytes_out_total`,
      'Bytes of batches that consumers were given by replicas that follow',
      () => counters.followerBytesOut,
    ),
    level(`${prefix}_connections`, 'Open connections', () => counters.connections),
    level(`${prefix}_frame_memory_bytes`, 'Memory held by requests being received', held.frameBytes),
    level(`${prefix}_fetch_memory_bytes`, 'Bytes read for fetches and not sent yet', held.fetchBytes),
    level(`${prefix}_waiting_fetches`, 'Fetches that wait for records', held.waitingFetches),
    new Counter({
      name: `${prefix}_requests_total`,
      help: 'Requests by API',
      labelNames: ['api'],
      registers: [],
      collect() {
        this.reset()
        for (const [api, count] of counters.requests) this.inc({ api }, count)
      },
    }),
    durations(`${prefix}_produce_seconds`, 'From the arrival of a Produce to its answer', counters.produceMs),
    durations(`${prefix}_fetch_seconds`, 'From the arrival of a Fetch to its answer', counters.fetchMs),
  ]
  for (const metric of metrics) registry.registerMetric(metric)
}

const rising = (name: string, help: string, value: () => number): Metric =>
  new Counter({
    name,
    help,
    registers: [],
    collect() {
      this.reset()
      this.inc(value())
    },
  })

const level = (name: string, help: string, value: () => number): Metric =>
  new Gauge({
    name,
    help,
    registers: [],
    collect() {
      this.set(value())
    },
  })

/** prom-client's histograms count values one at a time; ours are counted already, so they say themselves what they hold. */
function durations(name: string, help: string, measured: Durations): Metric {
  const metric = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    get: () => Promise.resolve({ ...metric, values: bucketValues(name, measured) }),
  }
  return metric as unknown as Metric
}

function bucketValues(name: string, { counts, sumMs }: Durations) {
  let below = 0
  const buckets = counts.map((count, n) => {
    below += count
    const boundMs = boundsMs[n]
    const labels = { le: boundMs === undefined ? '+Inf' : boundMs / 1000 }
    return { metricName: `${name}_bucket`, labels, value: below }
  })
  const whole = [
    { metricName: `${name}_sum`, labels: {}, value: sumMs / 1000 },
    { metricName: `${name}_count`, labels: {}, value: below },
  ]
  return [...buckets, ...whole]
}
