/**
 * Every setting there is, a row each, under the name Kafka gives it. Rows of `topicRows` hold for a topic and may be changed
 * while running, for one topic or for all; rows of `brokerRows` are read once when the broker starts, but for those that say `whileRunning`. `docs/settings.md` is
 * written from here.
 */
import { GIB, KIB, MIB } from '../../base/quantities.ts'
import {
  boolean,
  decimal,
  int,
  listeners,
  long,
  oneOf,
  short,
  someOf,
  text,
  throttledReplicas,
} from './values.ts'
import type { Kind } from './values.ts'

export type Row<T = unknown> = {
  /** What a topic calls it; undefined for a setting of the broker alone. */
  readonly topic: string | undefined
  /** What the broker calls it; undefined for a setting of a topic alone. */
  readonly broker: string | undefined
  /** Other names a broker's configuration may use, the first one given counts; a value there is `times` of `broker`'s units. */
  readonly aliases: readonly Alias[]
  readonly kind: Kind<T>
  readonly default: string
  /** A sentence or two for the person who sets it. */
  readonly doc: string
  /** A setting of the broker alone that may be changed while it runs, as all of topics may. */
  readonly whileRunning?: true
}

export type Alias = { readonly name: string; readonly times: number }

type Details<T> = {
  kind: Kind<T>
  default: string | number | boolean
  doc: string
  aliases?: readonly Alias[]
}

const row = <T, Topic extends string | undefined, Broker extends string | undefined>(
  topic: Topic,
  broker: Broker,
  details: Details<T>,
): Row<T> & { readonly topic: Topic; readonly broker: Broker } => ({
  aliases: [],
  ...details,
  topic,
  broker,
  default: String(details.default),
})

const forTopic = <T>(topic: string, broker: string, details: Details<T>) => row(topic, broker, details)
const forTopicAlone = <T>(topic: string, details: Details<T>) => row(topic, undefined, details)
const forBroker = <T>(broker: string, details: Details<T>) => row(undefined, broker, details)
const whileRunning = <T>(broker: string, details: Details<T>) => ({
  ...row(undefined, broker, details),
  whileRunning: true as const,
})

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

export const topicRows = {
  segmentBytes: forTopic('segment.bytes', 'log.segment.bytes', {
    kind: int({ min: 14 }),
    default: GIB,
    doc: 'A new segment file is begun before one grows beyond this many bytes. Whole segments are removed, never parts.',
  }),
  segmentMs: forTopic('segment.ms', 'log.roll.ms', {
    kind: long({ min: 1 }),
    default: 7 * dayMs,
    aliases: [{ name: 'log.roll.hours', times: hourMs }],
    doc: 'A new segment file is begun when the first record of the current one was written this many milliseconds ago.',
  }),
  segmentIndexBytes: forTopic('segment.index.bytes', 'log.index.size.max.bytes', {
    kind: int({ min: 12 }),
    default: 10 * MIB,
    doc: 'The largest size of a segment’s index, in bytes. A new segment is begun when it is full.',
  }),
  indexIntervalBytes: forTopic('index.interval.bytes', 'log.index.interval.bytes', {
    kind: int({ min: 0 }),
    default: 4 * KIB,
    doc: 'An index entry is written every so many bytes of log.',
  }),
  retentionMs: forTopic('retention.ms', 'log.retention.ms', {
    kind: long({ min: 0, unlimited: true }),
    default: 7 * dayMs,
    aliases: [
      { name: 'log.retention.minutes', times: minuteMs },
      { name: 'log.retention.hours', times: hourMs },
    ],
    doc: 'A segment is removed when its newest record is older than this many milliseconds.',
  }),
  retentionBytes: forTopic('retention.bytes', 'log.retention.bytes', {
    kind: long({ min: 0, unlimited: true }),
    default: -1,
    doc: 'The oldest segments of a partition are removed while it holds more than this many bytes without them.',
  }),
  cleanupPolicy: forTopic('cleanup.policy', 'log.cleanup.policy', {
    kind: someOf(['delete', 'compact']),
    default: 'delete',
    doc: 'What happens to old records: delete, they go by age and size; compact, of every key the newest record stays; or both.',
  }),
  minCleanableDirtyRatio: forTopic('min.cleanable.dirty.ratio', 'log.cleaner.min.cleanable.ratio', {
    kind: decimal({ min: 0, max: 1 }),
    default: 0.5,
    doc: 'A partition is compacted when more than this part of the bytes of its older segments was never compacted.',
  }),
  minCompactionLagMs: forTopic('min.compaction.lag.ms', 'log.cleaner.min.compaction.lag.ms', {
    kind: long({ min: 0 }),
    default: 0,
    doc: 'Records younger than this many milliseconds are not compacted.',
  }),
  maxCompactionLagMs: forTopic('max.compaction.lag.ms', 'log.cleaner.max.compaction.lag.ms', {
    kind: long({ min: 1 }),
    default: '9223372036854775807',
    doc: 'A record that is this many milliseconds old is compacted whatever the dirty ratio. The current segment ends after this time.',
  }),
  deleteRetentionMs: forTopic('delete.retention.ms', 'log.cleaner.delete.retention.ms', {
    kind: long({ min: 0 }),
    default: dayMs,
    doc: 'A tombstone (a record with a key and without a value) stays this many milliseconds after it was first compacted, so that readers see it.',
  }),
  maxMessageBytes: forTopic('max.message.bytes', 'message.max.bytes', {
    kind: int({ min: 0 }),
    default: MIB + 12,
    doc: 'The largest batch of records that is taken, in bytes, as it comes (compressed).',
  }),
  compressionType: forTopic('compression.type', 'compression.type', {
    kind: oneOf(['producer'], { because: 'batches are stored as they come' }),
    default: 'producer',
    doc: 'Batches keep the compression their producer gave them.',
  }),
  messageTimestampType: forTopic('message.timestamp.type', 'log.message.timestamp.type', {
    kind: oneOf(['CreateTime', 'LogAppendTime']),
    default: 'CreateTime',
    doc: 'Whether records carry the time their producer gave them or the time they were appended.',
  }),
  messageTimestampBeforeMaxMs: forTopic(
    'message.timestamp.before.max.ms',
    'log.message.timestamp.before.max.ms',
    {
      kind: long({ min: 0 }),
      default: '9223372036854775807',
      doc: 'A record whose own time lies further than this many milliseconds in the past is refused.',
    },
  ),
  messageTimestampAfterMaxMs: forTopic(
    'message.timestamp.after.max.ms',
    'log.message.timestamp.after.max.ms',
    {
      kind: long({ min: 0 }),
      default: hourMs,
      doc: 'A record whose own time lies further than this many milliseconds in the future is refused.',
    },
  ),
  minInsyncReplicas: forTopic('min.insync.replicas', 'min.insync.replicas', {
    kind: int({ min: 1 }),
    default: 1,
    doc: 'So many replicas must be in sync for a write with acks=all; never more than the topic has, so that one copy works as one copy.',
  }),
  uncleanLeaderElectionEnable: forTopic('unclean.leader.election.enable', 'unclean.leader.election.enable', {
    kind: boolean,
    default: false,
    doc: 'Whether a replica that was not in sync may lead when nobody in sync was there for 10 seconds: what only those had is lost then. Otherwise the tablet waits for them, or for its owner’s word.',
  }),
  fileDeleteDelayMs: forTopic('file.delete.delay.ms', 'log.segment.delete.delay.ms', {
    kind: long({ min: 0 }),
    default: minuteMs,
    doc: 'Files of removed segments stay this many milliseconds longer, for readers that are just there.',
  }),
  flush: forTopic('stele.flush', 'stele.flush', {
    kind: oneOf(['fsync', 'os']),
    default: 'fsync',
    doc: 'When acks=all is answered: fsync, when the record is on the disk; os, as Kafka does it, when the operating system has it, which outlives a killed process but not a power cut.',
  }),
  replication: forTopic('stele.replication', 'stele.replication', {
    kind: oneOf(['in-sync', 'best-effort']),
    default: 'in-sync',
    doc: 'in-sync: acks=all waits for every replica that is in sync. best-effort: the leader acknowledges alone, and its followers copy as they can; what they lack is gone when the leader is lost.',
  }),
  leaderThrottledReplicas: forTopicAlone('leader.replication.throttled.replicas', {
    kind: throttledReplicas,
    default: '',
    doc: 'Kept, as kafka-reassign-partitions writes it, and without an effect: leader.replication.throttled.rate holds for all replicas that are not in sync, and for no others.',
  }),
  followerThrottledReplicas: forTopicAlone('follower.replication.throttled.replicas', {
    kind: throttledReplicas,
    default: '',
    doc: 'Kept, as kafka-reassign-partitions writes it, and without an effect: follower.replication.throttled.rate holds for all replicas that are not in sync, and for no others.',
  }),
}

const rackAware = 'org.apache.kafka.common.replica.RackAwareReplicaSelector'

export const brokerRows = {
  brokerId: forBroker('broker.id', {
    kind: int({ min: 0 }),
    default: 0,
    aliases: [{ name: 'node.id', times: 1 }],
    doc: 'The number of this broker in its cluster. A data directory belongs to one number for ever.',
  }),
  rack: forBroker('broker.rack', {
    kind: text,
    default: '',
    doc: 'The zone or rack the broker stands in, as clients are told it.',
  }),
  replicaSelector: forBroker('replica.selector.class', {
    kind: oneOf([rackAware, ''], { because: 'selectors are not loaded from classes' }),
    default: rackAware,
    doc: 'From where a consumer reads that says its rack (client.rack): with Kafka’s name of its rack-aware selector, from a replica in sync in that rack, when the leader is in another; with nothing, as is Kafka’s default, from the leader.',
  }),
  replicaLagTimeMaxMs: forBroker('replica.lag.time.max.ms', {
    kind: long({ min: 1 }),
    default: 30_000,
    doc: 'A replica that has not had everything for so many milliseconds is not in sync any more.',
  }),
  copyRate: whileRunning('follower.replication.throttled.rate', {
    kind: long({ min: 1, unlimited: true }),
    default: 50 * MIB,
    doc: 'So many bytes a second a broker copies, all in all, of replicas that are not in sync: moved ones, and those that come back. -1 for no limit. Kafka has no limit by default, and one only for what follower.replication.throttled.replicas names. Set for one broker it holds for all.',
  }),
  sendRate: whileRunning('leader.replication.throttled.rate', {
    kind: long({ min: 1, unlimited: true }),
    default: '9223372036854775807',
    doc: 'So many bytes a second a broker sends, all in all, to replicas that are not in sync. -1 for no limit. Set for one broker it holds for all.',
  }),
  listeners: forBroker('listeners', {
    kind: listeners,
    default: 'PLAINTEXT://localhost:9092,HTTP://localhost:8080',
    doc: 'Where the doors listen: PLAINTEXT for Kafka’s protocol, HTTP for HTTP, EXTERNAL for Kafka’s protocol too, where clients are told the EXTERNAL addresses of all brokers, REPLICATION for brokers alone: whoever reaches it could claim to hold copies. No host means every interface, port 0 any free port; a door that is not named stays shut.',
  }),
  advertisedListeners: forBroker('advertised.listeners', {
    kind: listeners,
    default: '',
    doc: 'Where clients are told to connect to, when that is not what listeners says: behind a proxy, in a container.',
  }),
  autoCreateTopicsEnable: forBroker('auto.create.topics.enable', {
    kind: boolean,
    default: true,
    doc: 'Whether a topic is made when a client first asks for it.',
  }),
  numPartitions: forBroker('num.partitions', {
    kind: int({ min: 1 }),
    default: 1,
    doc: 'How many partitions a topic gets when nobody says.',
  }),
  defaultReplicationFactor: forBroker('default.replication.factor', {
    kind: int({ min: 1, max: 32_767 }),
    default: 1,
    doc: 'How many replicas a topic gets when nobody says.',
  }),
  deleteTopicEnable: forBroker('delete.topic.enable', {
    kind: boolean,
    default: true,
    doc: 'Whether clients may delete topics.',
  }),
  socketRequestMaxBytes: forBroker('socket.request.max.bytes', {
    kind: int({ min: 1 }),
    default: 100 * MIB,
    doc: 'The largest request of Kafka’s protocol, in bytes. A connection that announces a larger one is closed.',
  }),
  queuedMaxRequestBytes: forBroker('queued.max.request.bytes', {
    kind: long({ min: 1 }),
    default: 64 * MIB,
    doc: 'As much memory as requests may take while they are being received, over all connections, in bytes. When it is used up, connections wait to be read.',
  }),
  fetchMaxBytes: forBroker('fetch.max.bytes', {
    kind: int({ min: 1024 }),
    default: 55 * MIB,
    doc: 'The most that one fetch answers, in bytes, whatever the client allows; at least one batch in any case.',
  }),
  maxConnections: forBroker('max.connections', {
    kind: int({ min: 1 }),
    default: 20_000,
    doc: 'As many connections as the Kafka door holds; further ones are closed at once.',
  }),
  connectionsMaxIdleMs: forBroker('connections.max.idle.ms', {
    kind: long({ min: 1, unlimited: true }),
    default: 10 * minuteMs,
    doc: 'A connection on which nothing happened for this many milliseconds is closed.',
  }),
  logRetentionCheckIntervalMs: forBroker('log.retention.check.interval.ms', {
    kind: long({ min: 1 }),
    default: 5 * minuteMs,
    doc: 'How often old segments are looked for, in milliseconds.',
  }),
  logFlushOffsetCheckpointIntervalMs: forBroker('log.flush.offset.checkpoint.interval.ms', {
    kind: int({ min: 1 }),
    default: minuteMs,
    doc: 'How often the point from which a crash is recovered is written down, in milliseconds.',
  }),
  producerIdExpirationMs: forBroker('producer.id.expiration.ms', {
    kind: int({ min: 1 }),
    default: dayMs,
    doc: 'An idempotent producer that wrote nothing for this many milliseconds is forgotten.',
  }),
  offsetsTopicNumPartitions: forBroker('offsets.topic.num.partitions', {
    kind: int({ min: 1 }),
    default: 50,
    doc: 'How many partitions __consumer_offsets gets when it is made. A group belongs to one of them by the hash of its name, so the number never changes; as many as in Kafka.',
  }),
  offsetsTopicReplicationFactor: forBroker('offsets.topic.replication.factor', {
    kind: short({ min: 1, max: 32_767 }),
    default: 3,
    doc: 'How many replicas __consumer_offsets gets when it is made. By default fewer when there are fewer brokers; a number that is given is waited for.',
  }),
  offsetsTopicSegmentBytes: forBroker('offsets.topic.segment.bytes', {
    kind: int({ min: 1 }),
    default: 100 * MIB,
    doc: 'The size of the segments of __consumer_offsets, in bytes, when it is made.',
  }),
  offsetsRetentionMinutes: forBroker('offsets.retention.minutes', {
    kind: int({ min: 1 }),
    default: 7 * 24 * 60,
    doc: 'Committed offsets are kept for this many minutes after the last member of their group has gone, or after the commit when there never was one.',
  }),
  offsetsRetentionCheckIntervalMs: forBroker('offsets.retention.check.interval.ms', {
    kind: long({ min: 1 }),
    default: 10 * minuteMs,
    doc: 'How often old committed offsets are looked for, in milliseconds.',
  }),
  offsetsCommitTimeoutMs: forBroker('offsets.commit.timeout.ms', {
    kind: int({ min: 1 }),
    default: 5_000,
    doc: 'A commit that is not durable after this many milliseconds is answered with an error that says to try again.',
  }),
  offsetMetadataMaxBytes: forBroker('offset.metadata.max.bytes', {
    kind: int({ min: 0 }),
    default: 4 * KIB,
    doc: 'The longest text that may be committed beside an offset.',
  }),
  groupMinSessionTimeoutMs: forBroker('group.min.session.timeout.ms', {
    kind: int({ min: 1 }),
    default: 6_000,
    doc: 'The shortest session time-out that members of a group may ask for, in milliseconds.',
  }),
  groupMaxSessionTimeoutMs: forBroker('group.max.session.timeout.ms', {
    kind: int({ min: 1 }),
    default: 30 * minuteMs,
    doc: 'The longest session time-out that members of a group may ask for, in milliseconds.',
  }),
  groupMaxSize: forBroker('group.max.size', {
    kind: int({ min: 1 }),
    default: 2_147_483_647,
    doc: 'As many members as one group may have.',
  }),
  groupInitialRebalanceDelayMs: forBroker('group.initial.rebalance.delay.ms', {
    kind: int({ min: 0 }),
    default: 500,
    doc: 'So long an empty group waits for more members before it shares out the work, in milliseconds, and as long again after each stretch in which somebody came. Half a second gathers what is started together, and nobody who starts one consumer by hand waits for Kafka’s three.',
  }),
  groupMemoryBytes: forBroker('stele.group.memory.bytes', {
    kind: long({ min: MIB }),
    default: 256 * MIB,
    doc: 'As much memory as all groups with their members and committed offsets may take, in bytes, about. When it is used up, new groups, members and partitions to commit for are refused; what is there goes on.',
  }),
  logCleanerEnable: forBroker('log.cleaner.enable', {
    kind: boolean,
    default: true,
    doc: 'Whether partitions with cleanup.policy=compact are compacted.',
  }),
  logCleanerBackoffMs: forBroker('log.cleaner.backoff.ms', {
    kind: long({ min: 1 }),
    default: 15_000,
    doc: 'How long to wait, in milliseconds, when no partition has to be compacted, before looking again.',
  }),
  logCleanerDedupeBufferSize: forBroker('log.cleaner.dedupe.buffer.size', {
    kind: long({ min: 1 }),
    default: 128 * MIB,
    doc: 'As much memory as compaction takes at most for remembering keys, in bytes; it takes as much as the keys need. What does not fit is compacted in several passes, about 36 bytes a key.',
  }),
  logCleanerIoMaxBytesPerSecond: forBroker('log.cleaner.io.max.bytes.per.second', {
    kind: decimal({ min: 1 }),
    default: '1.7976931348623157E308',
    doc: 'As many bytes as compaction reads and writes in a second.',
  }),
  compactionTimeShare: forBroker('stele.compaction.time.share', {
    kind: decimal({ min: 0.01, max: 1 }),
    default: 0.25,
    doc: 'The part of the time in which compaction works: after each millisecond of work it rests, so that who writes finds a core and the disk free. It works for longer when a partition gets dirty faster than it is compacted. 1 compacts as fast as the machine can, and is felt.',
  }),
  tailMemoryBytes: forBroker('stele.tail.memory.bytes', {
    kind: long({ min: 0 }),
    default: 32 * MIB,
    doc: 'As much memory as the newest records of all partitions may take, from which readers at the end are served, in bytes.',
  }),
  segmentsOpenMax: forBroker('stele.segments.open.max', {
    kind: int({ min: 1 }),
    default: 256,
    doc: 'As many older segments as are kept open for reading at once.',
  }),
  logLevel: forBroker('stele.log.level', {
    kind: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    default: 'info',
    doc: 'From which level on the broker’s own log is written.',
  }),
  logFile: forBroker('stele.log.file', {
    kind: text,
    default: '',
    doc: 'A file that the broker’s own log is written to as well, rolled over by size; empty for none.',
  }),
  httpBodyMaxBytes: forBroker('stele.http.body.max.bytes', {
    kind: int({ min: 1 }),
    default: 4 * MIB,
    doc: 'The largest body of one HTTP request, in bytes. A stream of lines (NDJSON) may be longer; then it bounds one line.',
  }),
}

/**
 * Kafka's settings that people bring along and that would have no effect here: refused, and this is why. Said after
 * "NAME is not a setting here: ".
 */
/** What Kafka's kafka-reassign-partitions sets for each broker it moves replicas from or to, and takes away afterwards: here it is one setting for all. */
export const setForAll: ReadonlySet<string> = new Set([
  'follower.replication.throttled.rate',
  'leader.replication.throttled.rate',
  'replica.alter.log.dirs.io.max.bytes.per.second',
])

export const notHere: ReadonlyMap<string, string> = new Map([
  ...same('writes are synced as stele.flush says', [
    'flush.messages',
    'flush.ms',
    'log.flush.interval.messages',
    'log.flush.interval.ms',
  ]),
  ...same('one partition is compacted at a time, with memory as log.cleaner.dedupe.buffer.size says', [
    'log.cleaner.threads',
    'log.cleaner.io.buffer.size',
    'log.cleaner.io.buffer.load.factor',
  ]),
  ...same('a broker has one data directory, so nothing moves within it', [
    'replica.alter.log.dirs.io.max.bytes.per.second',
  ]),
  ...same('the data directory is given with --data', ['log.dir', 'log.dirs']),
  ...same('there is no controller quorum and no ZooKeeper', [
    'controller.listener.names',
    'controller.quorum.bootstrap.servers',
    'controller.quorum.voters',
    'process.roles',
    'zookeeper.connect',
  ]),
  ...same('one event loop serves everything', [
    'background.threads',
    'num.io.threads',
    'num.network.threads',
    'num.recovery.threads.per.data.dir',
  ]),
])

function same(reason: string, names: readonly string[]): [string, string][] {
  return names.map(name => [name, reason])
}
