import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../../base/world.ts'
import type { TabletAssignment } from '../../../control/model.ts'
import { countedReplicas } from '../../../control/moves.ts'
import type { Tablet } from '../../tablet/tablet.ts'
import { metricsDocs } from './docs-cluster.ts'
import { groupLines } from './group-metrics.ts'
import { inPieces } from './in-pieces.ts'
import { queueLines } from './queue-metrics.ts'
import type { Serving } from './serving.ts'

/** So many tablets are written down in one turn of the event loop: well below a millisecond's work for one family. */
const tabletsPerTurn = 200

type Family = {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly value: (tablet: Tablet) => number
}

/** Summed up by topic. The names are those that the Prometheus JMX exporter gives Kafka's. */
export const topicFamilies: readonly Family[] = [
  {
    name: 'kafka_server_brokertopicmetrics_messagesin_total',
    type: 'counter',
    help: 'Records appended since the broker started.',
    value: tablet => tablet.counters.messagesIn,
  },
  {
    name: 'kafka_server_brokertopicmetrics_bytesin_total',
    type: 'counter',
    help: 'Bytes of batches appended since the broker started, as they came (compressed).',
    value: tablet => tablet.counters.bytesIn,
  },
  {
    name: 'kafka_server_brokertopicmetrics_bytesout_total',
    type: 'counter',
    help: 'Bytes of batches read since the broker started.',
    value: tablet => tablet.counters.bytesOut,
  },
  {
    name: 'kafka_server_brokertopicmetrics_failedproducerequests_total',
    type: 'counter',
    help: 'Batches refused or not written since the broker started.',
    value: tablet => tablet.counters.failedAppends,
  },
  {
    name: 'stele_compaction_passes_total',
    type: 'counter',
    help: 'Passes of compaction that came to their end since the broker started.',
    value: tablet => tablet.keeping?.compaction?.counters.passes ?? 0,
  },
  {
    name: 'stele_compaction_read_bytes_total',
    type: 'counter',
    help: 'Bytes of segments that compaction has filtered since the broker started.',
    value: tablet => tablet.keeping?.compaction?.counters.bytesRead ?? 0,
  },
  {
    name: 'stele_compaction_written_bytes_total',
    type: 'counter',
    help: 'Bytes of segments that compaction has put in the place of others since the broker started.',
    value: tablet => tablet.keeping?.compaction?.counters.bytesWritten ?? 0,
  },
  {
    name: 'stele_compaction_removed_records_total',
    type: 'counter',
    help: 'Records that compaction has taken away since the broker started.',
    value: tablet => tablet.keeping?.compaction?.counters.recordsRemoved ?? 0,
  },
]

/** One value a partition. */
export const partitionFamilies: readonly Family[] = [
  {
    name: 'kafka_log_log_logstartoffset',
    type: 'gauge',
    help: 'The first offset of the partition that can be read.',
    value: tablet => tablet.logStart,
  },
  {
    name: 'kafka_log_log_logendoffset',
    type: 'gauge',
    help: 'The offset that the next record of the partition gets.',
    value: tablet => tablet.logEnd,
  },
  {
    name: 'kafka_log_log_size',
    type: 'gauge',
    help: 'Bytes of the log of the partition on the disk.',
    value: tablet => tablet.sizeBytes,
  },
  {
    name: 'kafka_log_log_numlogsegments',
    type: 'gauge',
    help: 'Segments of the partition.',
    value: tablet => tablet.segmentCount,
  },
  {
    name: 'stele_tablet_high_watermark',
    type: 'gauge',
    help: 'The offset below which records of the partition can be read.',
    value: tablet => tablet.highWatermark,
  },
  {
    name: 'stele_tablet_damaged_reads_total',
    type: 'counter',
    help: 'Reads of the partition that met a batch whose checksum does not match.',
    value: tablet => tablet.counters.damagedReads,
  },
  {
    name: 'stele_tablet_damage_found_total',
    type: 'counter',
    help: 'Stretches of the log of the partition that were found damaged on the disk.',
    value: tablet => tablet.mending?.counters.found ?? 0,
  },
  {
    name: 'stele_tablet_damage_repaired_total',
    type: 'counter',
    help: 'Those of them that were copied again from another replica.',
    value: tablet => tablet.mending?.counters.mended ?? 0,
  },
  {
    name: 'stele_tablet_differences_found_total',
    type: 'counter',
    help: 'How often this follower found that it has something else in a stretch of the log than its leader, although all checksums match.',
    value: tablet => tablet.mending?.counters.different ?? 0,
  },
]

/** One value for each replica that is being copied from here, and for nothing else. */
const copyFamily = {
  name: 'stele_tablet_copy_left_bytes',
  type: 'gauge',
  help: 'What a replica that is there and not in sync still lacks of the log of this leader.',
} as const

/** One value for the broker. */
export const brokerFamilies: readonly (Omit<Family, 'value'> & {
  /** Undefined for a broker that has no such value. */
  readonly value: (tablets: readonly Tablet[], serving: Serving) => number | undefined
})[] = [
  {
    name: 'kafka_server_replicamanager_partitioncount',
    type: 'gauge',
    help: 'Partitions that have a replica on this broker.',
    value: tablets => tablets.length,
  },
  {
    name: 'kafka_server_replicamanager_leadercount',
    type: 'gauge',
    help: 'Partitions that this broker leads.',
    value: tablets => tablets.filter(tablet => tablet.role === 'leader').length,
  },
  {
    name: 'kafka_server_replicamanager_offlinereplicacount',
    type: 'gauge',
    help: 'Partitions of this broker that are out of service because of damage or disk errors.',
    value: tablets => tablets.filter(tablet => tablet.role === 'offline').length,
  },
  {
    name: 'kafka_server_replicamanager_underreplicatedpartitions',
    type: 'gauge',
    help: 'Partitions that this broker leads and that have fewer replicas in sync than replicas, those not counted that are being added.',
    value: tablets =>
      tablets.filter(
        ({ serves, assignment }) =>
          serves &&
          assignment !== undefined &&
          missing(assignment, assignment.replicas.length - assignment.adding.length),
      ).length,
  },
  {
    name: 'kafka_server_replicamanager_underminisrpartitioncount',
    type: 'gauge',
    help: 'Partitions that this broker leads and that take no acks=all: fewer replicas are in sync than min.insync.replicas and their number ask for.',
    value: tablets =>
      tablets.filter(
        ({ serves, assignment, settings }) =>
          serves &&
          assignment !== undefined &&
          missing(assignment, Math.min(settings.minInsyncReplicas, countedReplicas(assignment))),
      ).length,
  },
  {
    name: 'kafka_controller_kafkacontroller_offlinepartitionscount',
    type: 'gauge',
    help: 'Partitions of all topics that nobody leads, or only a broker that is gone or cannot serve them, as this broker sees it.',
    value: (_tablets, { router }) =>
      [...router.topics()].reduce(
        (sum, [name, { tablets }]) =>
          sum + tablets.filter((_, n) => router.leaderOf(name, n) === undefined).length,
        0,
      ),
  },
  {
    name: 'kafka_server_replicamanager_isrshrinks_total',
    type: 'counter',
    help: 'How often the set in sync of a partition that this broker leads became smaller.',
    value: (_tablets, { router }) => router.isrChanges.shrinks,
  },
  {
    name: 'kafka_server_replicamanager_isrexpands_total',
    type: 'counter',
    help: 'How often the set in sync of a partition that this broker leads became larger.',
    value: (_tablets, { router }) => router.isrChanges.expands,
  },
  {
    name: 'kafka_server_replicafetchermanager_maxlag',
    type: 'gauge',
    help: 'Records that the follower here that is furthest behind lacks of what its leader shows to readers.',
    value: tablets => tablets.reduce((most, { followed }) => Math.max(most, followed?.lag ?? 0), 0),
  },
  {
    name: 'stele_replication_max_lag_seconds',
    type: 'gauge',
    help: 'Since the follower in sync that is furthest behind had everything of a partition that this broker leads.',
    value: tablets => tablets.reduce((most, { led }) => Math.max(most, led?.lagMs ?? 0), 0) / 1_000,
  },
  {
    name: 'kafka_server_brokertopicmetrics_replicationbytesin_total',
    type: 'counter',
    help: 'Bytes of batches that this broker has copied from leaders since it started.',
    value: (_tablets, { router }) => router.replication.bytesIn,
  },
  {
    name: 'kafka_server_brokertopicmetrics_replicationbytesout_total',
    type: 'counter',
    help: 'Bytes of batches that followers have got from this broker since it started.',
    value: (_tablets, { router }) => router.replication.bytesOut,
  },
  {
    name: 'stele_copying_replicas',
    type: 'gauge',
    help: 'Replicas on other brokers that are being copied from here because they are not in sync.',
    value: tablets => tablets.reduce((sum, { led }) => sum + (led?.copying.length ?? 0), 0),
  },
  {
    name: 'stele_copying_left_bytes',
    type: 'gauge',
    help: 'Bytes that the replicas still lack that are being copied from here.',
    value: tablets =>
      tablets.reduce(
        (sum, { led }) => (led?.copying ?? []).reduce((all, { bytesLeft }) => all + bytesLeft, sum),
        0,
      ),
  },
  {
    name: 'stele_leader_elections_total',
    type: 'counter',
    help: 'How often this broker has begun to lead a partition, or to lead it in a new epoch.',
    value: (_tablets, { router }) => router.isrChanges.elections,
  },
  {
    name: 'stele_leader_handovers_total',
    type: 'counter',
    help: 'How often this broker has handed the leadership of a partition to another one on purpose.',
    value: (_tablets, { router }) => router.replication.handovers,
  },
  {
    name: 'kafka_controller_controllerstats_uncleanleaderelections_total',
    type: 'counter',
    help: 'How often a replica of this broker began to lead although it may not hold all that was acknowledged.',
    value: (_tablets, { router }) => router.ledOutOfSync,
  },
  {
    name: 'stele_stray_bytes',
    type: 'gauge',
    help: 'Bytes in directories of tablets that were set aside: remove what nobody needs.',
    value: (_tablets, { router }) => router.strayBytes,
  },
  {
    name: 'kafka_log_logcleanermanager_max_dirty_percent',
    type: 'gauge',
    help: 'The largest part of a compacted partition that was not compacted yet, in percent, as of the last look.',
    value: tablets =>
      100 * tablets.reduce((max, { keeping }) => Math.max(max, keeping?.compaction?.dirtyRatio ?? 0), 0),
  },
  {
    name: 'kafka_log_logcleanermanager_uncleanable_partitions_count',
    type: 'gauge',
    help: 'Compacted partitions that damage keeps from being compacted.',
    value: tablets => tablets.filter(({ keeping }) => keeping?.compaction?.isStuck).length,
  },
  {
    name: 'stele_broker_ready',
    type: 'gauge',
    help: '1 when the broker serves requests, 0 while it recovers or stops.',
    value: (_tablets, { router }) => (router.ready ? 1 : 0),
  },
  {
    name: 'stele_broker_lease_age_seconds',
    type: 'gauge',
    help: 'Since the broker last renewed its Lease; +Inf when it does not hold it. Only in Kubernetes.',
    value: (_tablets, { router: { leaseAgeMs } }) => leaseAgeMs && leaseAgeMs / 1_000,
  },
]

const missing = (assignment: TabletAssignment, wanted: number): boolean => assignment.isr.length < wanted

export function addMetrics(app: FastifyInstance, serving: Serving): void {
  /** Everyone who asks meanwhile gets the same answer. That of groups, whose names may be long, is made as it is read. */
  let rendering: Promise<string> | undefined
  app.get('/metrics', { schema: metricsDocs, exposeHeadRoute: true }, async (_request, reply) => {
    await serving.ends.look()
    rendering ??= renderMetrics(serving).finally(() => (rendering = undefined))
    const body = inPieces(
      serving.world.clock,
      joined(await rendering, groupLines(serving), queueLines(serving.queues)),
    )
    return reply.type(serving.metrics.contentType).send(body)
  })
}

/**
 * All metrics but those of groups in Prometheus' text format. Those of tablets are read when asked for, and written in slices: ten thousand tablets
 * keep the event loop no longer than a few hundred.
 */
async function renderMetrics(serving: Serving): Promise<string> {
  const { clock } = serving.world
  const tablets = [...serving.router.tablets()]
  const parts = [await serving.metrics.metrics()]
  for (const family of brokerFamilies) {
    const value = family.value(tablets, serving)
    if (value === undefined) continue
    parts.push(`${head(family)}${family.name} ${value === Infinity ? '+Inf' : value}\n`)
  }
  for (const family of topicFamilies) parts.push(await renderTopics(clock, family, tablets))
  parts.push(await renderCopies(clock, tablets))
  for (const family of partitionFamilies) parts.push(await renderPartitions(clock, family, tablets))
  return parts.join('')
}

function* joined(first: string, ...rest: readonly Iterable<string>[]): Generator<string, void> {
  yield first
  for (const lines of rest) yield* lines
}

const head = ({ name, help, type }: Omit<Family, 'value'>): string =>
  `\n# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`

async function renderTopics(clock: Clock, family: Family, tablets: readonly Tablet[]): Promise<string> {
  const sums = new Map<string, number>()
  await inSlices(clock, tablets, tablet => {
    sums.set(tablet.topic, (sums.get(tablet.topic) ?? 0) + family.value(tablet))
  })
  let text = head(family)
  for (const [topic, sum] of sums) text += `${family.name}{topic="${topic}"} ${sum}\n`
  return text
}

async function renderPartitions(clock: Clock, family: Family, tablets: readonly Tablet[]): Promise<string> {
  let text = head(family)
  await inSlices(clock, tablets, tablet => {
    // No name of a topic needs escaping.
    text += `${family.name}{topic="${tablet.topic}",partition="${tablet.partition}"} ${family.value(tablet)}\n`
  })
  return text
}

async function renderCopies(clock: Clock, tablets: readonly Tablet[]): Promise<string> {
  let text = head(copyFamily)
  await inSlices(clock, tablets, ({ topic, partition, led }) => {
    for (const { broker, bytesLeft } of led?.copying ?? [])
      text += `${copyFamily.name}{topic="${topic}",partition="${partition}",broker="${broker}"} ${bytesLeft}\n`
  })
  return text
}

async function inSlices(
  clock: Clock,
  tablets: readonly Tablet[],
  act: (tablet: Tablet) => void,
): Promise<void> {
  for (let from = 0; from < tablets.length; from += tabletsPerTurn) {
    for (const tablet of tablets.slice(from, from + tabletsPerTurn)) act(tablet)
    await new Promise<void>(turned => clock.endOfTurn(turned))
  }
}
