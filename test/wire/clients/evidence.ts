/** Which tests show that a client can do something. Where a pattern has a group, what it catches is the codec. */

export const capabilities = {
  produces: 'Produces',
  idempotent: 'Idempotent',
  consumes: 'Consumes',
  group: 'Groups',
  cooperative: 'Cooperative',
  static: 'Static members',
  topics: 'Administers topics',
  groups: 'Administers groups',
} as const

export type Capability = keyof typeof capabilities
export type ClientName =
  | 'kcat'
  | 'kafkajs'
  | '@platformatic/kafka'
  | '@confluentinc/kafka-javascript'
  | 'confluent-kafka'
  | 'kafka-python'
  | "Kafka's own"

export type Evidence = { readonly file: string; readonly tests: RegExp }

const story = (name: string): Evidence => ({
  file: 'groups.test.ts',
  tests: new RegExp(`^members share the work.* > ${name}$`),
})

const ofProgram = (name: string): Partial<Record<Capability, Evidence>> => {
  const shown = (rest: string): Evidence => ({
    file: 'programs.test.ts',
    tests: new RegExp(`^${name} > ${rest}$`),
  })
  return {
    produces: shown('as a producer.* codec (\\w+)'),
    idempotent: shown('as an idempotent producer.*'),
    consumes: shown('as a consumer, codec (\\w+)'),
    group: story(name),
    topics: shown('as an administrator'),
    groups: shown('as an administrator'),
  }
}

const consuming = (name: string): Evidence => ({
  file: 'consuming.test.ts',
  tests: new RegExp(`^${name} reads what kcat wrote > codec (\\w+)$`),
})

export const clients: Record<ClientName, Partial<Record<Capability, Evidence>>> = {
  kcat: {
    produces: { file: 'kcat.test.ts', tests: /^kcat as a producer > .*, codec (\w+)$/ },
    idempotent: { file: 'kcat.test.ts', tests: /^kcat as a producer > an idempotent/ },
    // The same tests: what it wrote is read with it.
    consumes: { file: 'kcat.test.ts', tests: /^kcat as a producer > .*, codec (\w+)$/ },
    group: story('kcat'),
    cooperative: story('kcat, cooperative'),
  },
  kafkajs: {
    produces: { file: 'kafkajs.test.ts', tests: /^kafkajs as a producer > .*, codec (\w+)$/ },
    idempotent: { file: 'kafkajs.test.ts', tests: /^kafkajs as a producer > an idempotent/ },
    consumes: consuming('kafkajs'),
    group: story('kafkajs'),
    topics: { file: 'kafkajs.test.ts', tests: /^kafkajs as an administrator > / },
    groups: { file: 'group-admin.test.ts', tests: /^kafkajs administers groups$/ },
  },
  '@platformatic/kafka': {
    produces: {
      file: 'platformatic.test.ts',
      tests: /^@platformatic\/kafka as a producer > .*, codec (\w+)$/,
    },
    idempotent: {
      file: 'platformatic.test.ts',
      tests: /^@platformatic\/kafka as a producer > an idempotent/,
    },
    consumes: consuming('platformatic'),
    group: story('platformatic'),
    topics: { file: 'platformatic.test.ts', tests: /^@platformatic\/kafka as an administrator > / },
    groups: { file: 'group-admin.test.ts', tests: /^@platformatic\/kafka administers groups$/ },
  },
  '@confluentinc/kafka-javascript': {
    ...ofProgram('@confluentinc/kafka-javascript'),
    cooperative: story('@confluentinc/kafka-javascript, cooperative'),
  },
  'confluent-kafka': {
    ...ofProgram('confluent-kafka'),
    cooperative: story('confluent-kafka, cooperative, static'),
    static: story('confluent-kafka, cooperative, static'),
  },
  'kafka-python': {
    ...ofProgram('kafka-python'),
    cooperative: story('kafka-python, cooperative'),
    static: story('kafka-python, static'),
  },
  "Kafka's own": {
    produces: { file: 'java-producers.test.ts', tests: /^Kafka's console producer > .*, codec (\w+)$/ },
    idempotent: {
      file: 'java-producers.test.ts',
      tests: /^Kafka's ProducerPerformance > .*idempotent.*, codec/,
    },
    consumes: consuming('java'),
    group: story('java'),
    cooperative: story('java, cooperative'),
    static: story('VerifiableConsumer, static'),
    topics: { file: 'java-admin.test.ts', tests: /^Kafka's own administration tools > / },
    groups: { file: 'group-admin.test.ts', tests: /^Kafka's kafka-consumer-groups > / },
  },
}

/** What comes with Kafka besides its clients, and the tests that run each. */
export const tools: Record<string, readonly Evidence[]> = {
  'kafka-topics': [
    { file: 'java-admin.test.ts', tests: /^Kafka's own administration tools > a topic / },
    { file: 'java-tools.test.ts', tests: /^kafka-topics > / },
  ],
  'kafka-configs': [
    { file: 'java-admin.test.ts', tests: /^Kafka's own administration tools > (?:settings|a setting) / },
    { file: 'java-tools.test.ts', tests: /^kafka-configs > / },
  ],
  'kafka-consumer-groups': [
    { file: 'group-tools.test.ts', tests: /^Kafka's kafka-consumer-groups > / },
    { file: 'group-admin.test.ts', tests: /^Kafka's kafka-consumer-groups > / },
  ],
  'kafka-get-offsets': [{ file: 'java-tools.test.ts', tests: /^kafka-get-offsets > / }],
  'kafka-delete-records': [{ file: 'java-tools.test.ts', tests: /^kafka-delete-records > / }],
  'kafka-log-dirs': [{ file: 'java-tools.test.ts', tests: /^kafka-log-dirs / }],
  'kafka-cluster, kafka-groups': [{ file: 'java-tools.test.ts', tests: /^kafka-cluster and kafka-groups / }],
  'kafka-broker-api-versions': [{ file: 'java-admin.test.ts', tests: / > the broker tells which requests/ }],
  'kafka-dump-log': [{ file: 'group-tools.test.ts', tests: /^Kafka's tool for log files / }],
  'kafka-console-producer': [{ file: 'java-producers.test.ts', tests: /^Kafka's console producer > / }],
  'kafka-console-consumer': [story('java'), story('java, cooperative'), consuming('java')],
  'kafka-producer-perf-test': [{ file: 'java-producers.test.ts', tests: /^Kafka's ProducerPerformance > / }],
  'kafka-consumer-perf-test': [
    { file: 'consumer-performance.test.ts', tests: /^Kafka's ConsumerPerformance > / },
  ],
  'kafka-verifiable-consumer': [story('VerifiableConsumer, static')],
  'Streams: a word count, stopped and killed in the middle': [
    { file: 'streams.test.ts', tests: /^(?:stopped in the clean way|killed) > / },
  ],
  'Connect: a file source and sink, killed in the middle': [
    { file: 'connect.test.ts', tests: /^every line arrives/ },
  ],
}

/** What is refused, by the name of the `describe` whose tests are the clients that were refused. */
export const notYet: Record<string, { readonly folder: string; readonly meaning: string }> = {
  Transactions: {
    folder: 'transactions',
    meaning:
      'A producer with a transactional id is refused at once with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which clients do not try again. Idempotent producers are served.',
  },
  'The consumer group protocol of KIP-848': {
    folder: 'group.protocol=consumer',
    meaning:
      'Leave `group.protocol` at `classic`, which is the default. Clients built on librdkafka wait without a word when it is `consumer`.',
  },
  'Share groups': { folder: 'share groups', meaning: 'Not served: the broker does not offer the requests.' },
}
