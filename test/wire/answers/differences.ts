/**
 * In which answers we differ from Kafka, and why. `docs/kafka-differences.md` is written from this list; the test fails for a difference that
 * is not here, and for a place where there is none any more.
 */
import type { Difference } from './compare.ts'

/**
 * A question and a field as the test names them; a star stands for anything. `kafka` and `ours` narrow it to what was answered, as JSON, or
 * `nothing` where there is no such field.
 */
export type Place = {
  readonly question: string
  readonly field: string
  readonly kafka?: string
  readonly ours?: string
  /** The API that the place is about, where the question is about another one. */
  readonly api?: string
}

export type Listed = { readonly title: string; readonly reason: string; readonly places: readonly Place[] }

const served = 'ApiVersions: what is served'
type Keys = Readonly<Record<string, number>>
const keys = (apis: Keys): Place[] =>
  Object.entries(apis).map(([api, key]) => ({
    question: served,
    field: `apiKeys[${key}]`,
    ours: 'nothing',
    api,
  }))
const newest = (apis: Keys): Place[] =>
  Object.entries(apis).map(([api, key]) => ({ question: served, field: `apiKeys[${key}].maxVersion`, api }))
/** Fields of questions of one API. */
const of = (api: string, field: string, ...questions: readonly string[]): Place[] =>
  questions.map(question => ({ question: `${api}: ${question}`, field }))

/** Settings of topics that Kafka has and we do not. */
const unknownSettings = [
  'compression.gzip.level',
  'compression.lz4.level',
  'compression.zstd.level',
  'flush.messages',
  'flush.ms',
  'local.retention.bytes',
  'local.retention.ms',
  'preallocate',
  'remote.log.copy.disable',
  'remote.log.delete.on.disable',
  'remote.storage.enable',
  'segment.jitter.ms',
]
const ofTopics = ['CreateTopics: *', 'DescribeConfigs: *']

export const listed: readonly Listed[] = [
  {
    title: 'Transactions are not there',
    reason:
      'A transactional id is refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which no client retries; batches that say they are part of a transaction are refused as well.',
    places: [
      ...keys({
        AddPartitionsToTxn: 24,
        AddOffsetsToTxn: 25,
        EndTxn: 26,
        WriteTxnMarkers: 27,
        TxnOffsetCommit: 28,
        DescribeProducers: 61,
        DescribeTransactions: 65,
        ListTransactions: 66,
      }),
      ...of('FindCoordinator', '*', 'of a transaction'),
      ...of('InitProducerId', '*', 'with a transactional id'),
      ...of(
        'Produce',
        'responses[*].partitionResponses[*]*',
        'with a transactional id',
        'a batch with a transaction',
      ),
    ],
  },
  {
    title: 'Security is not there',
    reason: 'SASL, access rules, SCRAM credentials and delegation tokens have no place yet.',
    places: keys({
      SaslHandshake: 17,
      DescribeAcls: 29,
      CreateAcls: 30,
      DeleteAcls: 31,
      SaslAuthenticate: 36,
      CreateDelegationToken: 38,
      RenewDelegationToken: 39,
      ExpireDelegationToken: 40,
      DescribeDelegationToken: 41,
      DescribeUserScramCredentials: 50,
      AlterUserScramCredentials: 51,
    }),
  },
  {
    title: 'Quotas are not there',
    reason: 'They cannot be described or set.',
    places: keys({ DescribeClientQuotas: 48, AlterClientQuotas: 49 }),
  },
  {
    title: 'A broker has one directory',
    reason: 'Replicas do not move between directories.',
    places: keys({ AlterReplicaLogDirs: 34 }),
  },
  {
    title: 'There is no quorum of controllers',
    reason:
      'Who owns what lies in the control store: there is nothing to describe, to add voters to, or to finalise features in.',
    places: [
      ...keys({
        DescribeQuorum: 55,
        UpdateFeatures: 57,
        UnregisterBroker: 64,
        AddRaftVoter: 80,
        RemoveRaftVoter: 81,
      }),
      { question: served, field: 'supportedFeatures*' },
      { question: served, field: 'finalizedFeatures*' },
    ],
  },
  {
    title: 'Groups are the classic ones',
    reason:
      'Consumer groups of KIP-848, share groups and Streams groups are not there; clients take the classic protocol then.',
    places: [
      ...keys({
        ConsumerGroupHeartbeat: 68,
        ConsumerGroupDescribe: 69,
        ShareGroupHeartbeat: 76,
        ShareGroupDescribe: 77,
        ShareFetch: 78,
        ShareAcknowledge: 79,
        InitializeShareGroupState: 83,
        ReadShareGroupState: 84,
        WriteShareGroupState: 85,
        DeleteShareGroupState: 86,
        ReadShareGroupStateSummary: 87,
        StreamsGroupHeartbeat: 88,
        StreamsGroupDescribe: 89,
        DescribeShareGroupOffsets: 90,
        AlterShareGroupOffsets: 91,
        DeleteShareGroupOffsets: 92,
      }),
      ...of('FindCoordinator', 'coordinators[s*', 'of a share group'),
    ],
  },
  {
    title: 'ListConfigResources is not there',
    reason: 'Only topics and brokers have settings, and both have lists of their own.',
    places: keys({ ListConfigResources: 74 }),
  },
  {
    title: 'The newest versions are not there',
    reason:
      'They name topics by id (Produce, Fetch, OffsetCommit, OffsetFetch) or carry what belongs to features that are not there.',
    places: newest({
      Produce: 0,
      Fetch: 1,
      ListOffsets: 2,
      Metadata: 3,
      OffsetCommit: 8,
      OffsetFetch: 9,
      FindCoordinator: 10,
      DescribeGroups: 15,
      DescribeLogDirs: 35,
    }),
  },
  {
    title: 'Produce before version 3 is answered',
    reason:
      'ApiVersions has to list these versions, or librdkafka turns compression off. Kafka lists them too and closes the connection; we say UNSUPPORTED_VERSION.',
    places: [
      { question: 'Produce: a batch', field: '', kafka: '"the connection is closed"' },
      {
        question: 'Produce: a batch that only the leader has to have',
        field: '',
        kafka: '"the connection is closed"',
      },
    ],
  },
  {
    title: 'Requests that Kafka never answers',
    reason: 'Kafka throws while it works on them and the client waits; we refuse them.',
    places: [
      { question: 'Produce: null', field: '', kafka: '"there is no answer"' },
      { question: 'AlterConfigs: a topic twice', field: '', kafka: '"there is no answer"' },
    ],
  },
  {
    title: 'Requests that Kafka fails in as a whole',
    reason:
      'Kafka answers UNKNOWN_SERVER_ERROR, with its own stack trace in the log; we refuse what is wrong in them by its name, or do what was meant.',
    places: [
      ...of('Metadata', '*', 'neither name nor id'),
      ...of('DescribeTopicPartitions', 'topics[*]*', 'names that no topic may have'),
      ...of(
        'IncrementalAlterConfigs',
        'responses[2 changed-v]*',
        'operation 4',
        'operation 9',
        'operation -1',
      ),
      ...of('ListOffsets', 'topics[placed].partitions[0]*', 'an unknown isolation'),
      ...of(
        'Fetch',
        '*',
        'an unknown isolation',
        '-1 bytes of a partition',
        '-1 bytes of two partitions',
        '-1 bytes in all',
      ),
      { question: 'Produce: a batch with an unknown codec', field: '*.errorCode', kafka: '-1', ours: '76' },
    ],
  },
  {
    title: 'Refusals say why',
    reason: 'Kafka leaves the message out where we have one.',
    places: [
      { question: 'Produce: *', field: '*.errorMessage', kafka: 'null', ours: '"a text"' },
      { question: 'CreatePartitions: *', field: '*.errorMessage', kafka: 'null', ours: '"a text"' },
      {
        question: 'DescribeConfigs: an unknown topic',
        field: '*.errorMessage',
        kafka: '""',
        ours: '"a text"',
      },
    ],
  },
  {
    title: 'A refused batch does not tell the log start',
    reason:
      'Kafka tells the log start offset also with what it refuses while appending; no client looks at it there.',
    places: [{ question: 'Produce: *', field: '*.logStartOffset', kafka: '0', ours: '-1' }],
  },
  {
    title: 'A batch that is there already has no append time',
    reason:
      "Kafka answers a duplicate with the batch's own largest timestamp as its append time, though the topic keeps the producer's times.",
    places: [
      {
        question: 'Produce: of a numbered producer, *',
        field: '*.logAppendTimeMs',
        kafka: '"a time"',
        ours: '-1',
      },
    ],
  },
  {
    title: 'A batch is refused as a whole',
    reason:
      'Kafka names the records that are wrong in a batch; the error is the same for all of them, and clients fail them together.',
    places: [{ question: 'Produce: *', field: '*.recordErrors[*', ours: 'nothing' }],
  },
  {
    title: 'Batches are opaque',
    reason:
      'Records are not unpacked when they are written: a batch whose records are not packed as it says is taken, and its readers find out.',
    places: of(
      'Produce',
      'responses[*].partitionResponses[*]*',
      'a batch with a codec that it was not packed with',
    ),
  },
  {
    title: 'One batch, and nothing behind it',
    reason: 'Kafka drops bytes that stand behind a batch without a word.',
    places: of('Produce', 'responses[*].partitionResponses[*]*', 'a batch and a bit'),
  },
  {
    title: 'What is named twice is answered twice',
    reason:
      'Kafka keeps the last of topics or partitions that a request names twice. No client names one twice; each is served here.',
    places: [
      ...of('Produce', 'responses[*', 'one partition twice', 'one topic twice'),
      ...of('Fetch', 'responses[*', 'one partition twice', 'one topic twice'),
      ...of('DeleteTopics', 'responses[*', 'by name, and by id'),
    ],
  },
  {
    title: 'Topics without partitions are answered as such',
    reason: 'Kafka leaves a topic out of the answer when the request names no partition of it.',
    places: [
      { question: 'Produce: a topic without partitions', field: 'responses[*]', kafka: 'nothing' },
      { question: 'Fetch: a topic without partitions', field: 'responses[*]', kafka: 'nothing' },
      { question: 'ListOffsets: a topic without partitions', field: 'topics[*]', kafka: 'nothing' },
    ],
  },
  {
    title: 'Fetch sessions are not kept',
    reason: 'KIP-227 lets a broker answer with session 0: clients then name all partitions each time.',
    places: [
      { question: 'Fetch: in a session, *', field: 'sessionId', ours: '0' },
      { question: 'Fetch: a body of zeros', field: 'sessionId', ours: '0' },
      { question: 'Fetch: in a session, *', field: 'errorCode', ours: '70' },
      ...of('Fetch', 'responses*', 'in a session, going on'),
    ],
  },
  {
    title: 'No transaction is ever aborted',
    reason:
      'The list of aborted transactions is empty; Kafka sends null to who does not ask for committed records only.',
    places: [{ question: 'Fetch: *', field: '*.abortedTransactions', kafka: 'null', ours: '[]' }],
  },
  {
    title: 'Whole batches only',
    reason: 'Kafka fills what the client allows with the beginning of the next batch, which clients drop.',
    places: of(
      'Fetch',
      '*.records.bytesBehind',
      'room for a batch and a half',
      'room for a batch and a half in all',
    ),
  },
  {
    title: 'A list has a length',
    reason: 'Kafka takes each length below 0 for null; only -1 means that.',
    places: of('A strange request', '', 'a list of less than nothing'),
  },
  {
    title: 'Leader epochs below -1',
    reason: 'There are none; Kafka calls them fenced, or counts with them. Only -1 is ever sent.',
    places: [
      ...of('ListOffsets', 'topics[placed].partitions[0]*', 'from leader epoch -2'),
      ...of(
        'OffsetForLeaderEpoch',
        'topics[placed].partitions[*',
        'from leader epoch -2',
        'epoch -2',
        'epoch -2 of an empty partition',
      ),
    ],
  },
  {
    title: 'Records without a time have no largest one',
    reason: 'Where no record has a time there is none with the largest; Kafka names the first.',
    places: of('ListOffsets', 'topics[placed].partitions[2]*', '-3 of a timeless partition'),
  },
  {
    title: 'Settings that have no meaning here',
    reason:
      'Tiered storage, flushing by count and repacking are not there; a setting without an effect is refused rather than taken.',
    places: [
      ...unknownSettings.map(name => ({ question: '*', field: `*.configs[${name}]`, ours: 'nothing' })),
      ...of('CreateTopics', 'topics[*', 'a codec for all records'),
    ],
  },
  {
    title: 'Settings of our own',
    reason: '`stele.flush` says when a record is safe, `stele.replication` whether it waits for copies.',
    places: ['stele.flush', 'stele.replication'].flatMap(name =>
      ofTopics.map(question => ({ question, field: `*.configs[${name}]`, kafka: 'nothing' })),
    ),
  },
  {
    title: 'Consumers that say their rack read there',
    reason:
      'replica.selector.class is Kafka’s rack-aware selector by default: who gives a client.rack has asked for it, and nobody else is touched. With nothing, as is Kafka’s default, all read from leaders; other classes are not loaded.',
    places: [{ question: 'DescribeConfigs: a broker*', field: '*.configs[replica.selector.class]*' }],
  },
  {
    title: 'Copies that are not in sync have a limit',
    reason:
      'It holds for all of them, and is 50 MiB a second by default, so that moves leave room for clients; in Kafka it holds for replicas that are named, and is none by default. `*.replication.throttled.rate` may be set for one broker, as kafka-reassign-partitions does with `--throttle`, and holds for all then; when it is taken away again, the 50 MiB hold. `*.replication.throttled.replicas` are kept as they are given, and limit nothing: whatever is not in sync is limited, and what is in sync never is. DescribeConfigs of a broker tells such a rate as one of all brokers.',
    places: [{ question: 'DescribeConfigs: a broker*', field: '*.configs[*.replication.throttled.rate]*' }],
  },
  {
    title: 'min.insync.replicas is a default like others',
    reason: 'Kafka writes it down as a setting of the cluster when eligible leader replicas are on.',
    places: [
      ...ofTopics.map(question => ({
        question,
        field: '*.configs[min.insync.replicas].configSource',
        kafka: '3',
        ours: '5',
      })),
      {
        question: 'DescribeConfigs: *',
        field: '*.configs[min.insync.replicas].synonyms[min.insync.replicas 3]',
        ours: 'nothing',
      },
      ...of(
        'DescribeConfigs',
        '*.configs[min.insync.replicas]',
        'all brokers',
        'after a change for all brokers*',
      ),
    ],
  },
  {
    title: 'Hours and milliseconds are one setting',
    reason:
      'Kafka keeps `log.retention.hours` and `log.roll.hours` beside those in milliseconds, which are unset then; here they are other names for them.',
    places: [
      { question: 'DescribeConfigs: a broker*', field: '*.configs[log.retention.ms]*' },
      { question: 'DescribeConfigs: a broker*', field: '*.configs[log.roll.ms]*' },
      ...['log.retention.hours', 'log.retention.minutes', 'log.roll.hours'].map(name => ({
        question: 'DescribeConfigs: a broker*',
        field: `*.configs[${name}]`,
        ours: 'nothing',
      })),
      ...of('DescribeConfigs', '*.synonyms[log.retention.*', 'after a change for all brokers*'),
      ...['retention.ms', 'segment.ms'].map(name => ({
        question: '*',
        field: `*.configs[${name}].synonyms[log.*`,
        kafka: 'nothing',
      })),
    ],
  },
  {
    title: 'node.id and broker.id are one setting',
    reason: 'Each is another name for the other, as Kafka means it too; it describes both.',
    places: [
      { question: 'DescribeConfigs: a broker*', field: '*.configs[node.id]', ours: 'nothing' },
      { question: 'DescribeConfigs: a broker, all of it', field: '*.configs[broker.id].synonyms*' },
    ],
  },
  {
    title: 'Memory has a bound',
    reason:
      'Each connection costs memory, and so do requests that are being received: the defaults are what a broker can hold. They are read once.',
    places: [
      { question: 'DescribeConfigs: a broker*', field: '*.configs[max.connections]*' },
      { question: 'DescribeConfigs: a broker*', field: '*.configs[queued.max.request.bytes]*' },
    ],
  },
  {
    title: 'A group waits half a second for its members',
    reason: 'Who starts one consumer by hand does not wait for three; what is started together is gathered.',
    places: [
      {
        question: 'DescribeConfigs: a broker, all of it',
        field:
          '*.configs[group.initial.rebalance.delay.ms].synonyms[group.initial.rebalance.delay.ms 5].value',
        kafka: '"3000"',
        ours: '"500"',
      },
    ],
  },
  {
    title: 'Settings of the broker alone are read when it starts',
    reason: 'Only those that topics get from it change while it runs.',
    places: [
      'listeners',
      'log.cleaner.backoff.ms',
      'log.cleaner.dedupe.buffer.size',
      'log.cleaner.io.max.bytes.per.second',
      'producer.id.expiration.ms',
    ].map(name => ({
      question: 'DescribeConfigs: a broker*',
      field: `*.configs[${name}].readOnly`,
      kafka: 'false',
      ours: 'true',
    })),
  },
  {
    title: 'Values are kept without the spaces around them',
    reason: 'They mean nothing.',
    places: of('CreateTopics', '*.configs[retention.ms].value', 'a setting with spaces around'),
  },
  {
    title: 'Unknown settings are refused',
    reason:
      'Kafka takes them of brokers, and lets unknown ones be taken away: a mistyped name would go unnoticed.',
    places: [
      ...of('IncrementalAlterConfigs', 'responses[2 changed-v]*', 'an unknown setting taken away'),
      ...of('IncrementalAlterConfigs', 'responses[4 ]*', 'an unknown setting of a broker'),
      ...of('DescribeConfigs', '*.configs[no.such]', 'after a change for all brokers*'),
    ],
  },
  {
    title: 'Settings change for all brokers at once',
    reason:
      'There is no setting of one broker, and no level of a single logger, that could change while it runs.',
    places: [
      ...of('IncrementalAlterConfigs', 'responses[4 1]*', 'of one broker'),
      ...of('IncrementalAlterConfigs', 'responses[8 1].errorCode', 'an unknown log level'),
    ],
  },
]

const matches = (pattern: string | undefined, text = 'nothing'): boolean =>
  pattern === undefined ||
  new RegExp(
    `^${pattern
      .split('*')
      .map(part => RegExp.escape(part))
      .join('.*')}$`,
    's',
  ).test(text)

export const isAt = ({ question, field, kafka, ours }: Place, found: Difference): boolean =>
  matches(question, found.question) &&
  matches(field, found.field) &&
  matches(kafka, found.kafka) &&
  matches(ours, found.ours)
