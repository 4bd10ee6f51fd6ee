/**
 * Every way the broker says no, in one closed table: Kafka's error code and name, the HTTP status, whether trying again can
 * help, and what to do about it. Doors translate from here; nothing else carries an error number.
 * Source of the codes: Kafka's org.apache.kafka.common.protocol.Errors.
 */
export const refusals = {
  UNKNOWN_SERVER_ERROR: {
    kafka: -1,
    http: 500,
    retriable: false,
    todo: "Look at the broker's log; this is a bug worth reporting.",
  },
  OFFSET_OUT_OF_RANGE: {
    kafka: 1,
    http: 416,
    retriable: false,
    todo: 'Read from an offset between the log start offset and the high watermark.',
  },
  CORRUPT_MESSAGE: {
    kafka: 2,
    http: 422,
    retriable: true,
    todo: 'The batch does not match its checksum. Send it again; when reading, skip the offsets the broker has named in its log.',
  },
  UNKNOWN_TOPIC_OR_PARTITION: {
    kafka: 3,
    http: 404,
    retriable: true,
    todo: 'Create the topic, or check its name and partition number.',
  },
  LEADER_NOT_AVAILABLE: {
    kafka: 5,
    http: 503,
    retriable: true,
    todo: 'Try again: the tablet is getting a leader.',
  },
  NOT_LEADER_OR_FOLLOWER: {
    kafka: 6,
    http: 421,
    retriable: true,
    todo: 'Ask for metadata again and talk to the leader.',
  },
  REQUEST_TIMED_OUT: {
    kafka: 7,
    http: 504,
    retriable: true,
    todo: 'Try again; the write may or may not have happened.',
  },
  MESSAGE_TOO_LARGE: {
    kafka: 10,
    http: 413,
    retriable: false,
    todo: "Send smaller records, or raise the topic's max.message.bytes.",
  },
  OFFSET_METADATA_TOO_LARGE: {
    kafka: 12,
    http: 413,
    retriable: false,
    todo: 'Commit less text beside the offset, or raise offset.metadata.max.bytes.',
  },
  COORDINATOR_LOAD_IN_PROGRESS: {
    kafka: 14,
    http: 503,
    retriable: true,
    todo: 'Try again: the groups are being read from the log.',
  },
  COORDINATOR_NOT_AVAILABLE: { kafka: 15, http: 503, retriable: true, todo: 'Try again.' },
  NOT_COORDINATOR: {
    kafka: 16,
    http: 421,
    retriable: true,
    todo: "Look for the group's coordinator again.",
  },
  INVALID_TOPIC_EXCEPTION: {
    kafka: 17,
    http: 400,
    retriable: false,
    todo: "Use another topic: a name is 1 to 249 letters, digits, dots, underscores and hyphens, and the broker's own topics are for it alone.",
  },
  RECORD_LIST_TOO_LARGE: {
    kafka: 18,
    http: 413,
    retriable: false,
    todo: "Send smaller batches, or raise the topic's segment.bytes.",
  },
  NOT_ENOUGH_REPLICAS: {
    kafka: 19,
    http: 503,
    retriable: true,
    todo: 'Wait until more replicas are in sync.',
  },
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: {
    kafka: 20,
    http: 503,
    retriable: true,
    todo: 'Write it again; a producer with idempotence does so by itself.',
  },
  INVALID_REQUIRED_ACKS: { kafka: 21, http: 400, retriable: false, todo: 'Use acks 0, 1 or all (-1).' },
  ILLEGAL_GENERATION: {
    kafka: 22,
    http: 409,
    retriable: false,
    todo: 'The group has shared its work out anew: join it again.',
  },
  INCONSISTENT_GROUP_PROTOCOL: {
    kafka: 23,
    http: 409,
    retriable: false,
    todo: 'Use an assignor (partition.assignment.strategy) that all members of the group know.',
  },
  INVALID_GROUP_ID: { kafka: 24, http: 400, retriable: false, todo: 'Give the group a name (group.id).' },
  UNKNOWN_MEMBER_ID: {
    kafka: 25,
    http: 409,
    retriable: false,
    todo: 'The member is not in the group, or no more: join it again.',
  },
  INVALID_SESSION_TIMEOUT: {
    kafka: 26,
    http: 400,
    retriable: false,
    todo: 'Use a session.timeout.ms between group.min.session.timeout.ms and group.max.session.timeout.ms.',
  },
  REBALANCE_IN_PROGRESS: {
    kafka: 27,
    http: 409,
    retriable: false,
    todo: 'The group is sharing its work out anew: join it again.',
  },
  INVALID_COMMIT_OFFSET_SIZE: {
    kafka: 28,
    http: 413,
    retriable: false,
    todo: 'Commit fewer offsets at once, or raise stele.group.memory.bytes when the groups have outgrown it.',
  },
  INVALID_TIMESTAMP: {
    kafka: 32,
    http: 400,
    retriable: false,
    todo: "Send timestamps that the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms allow.",
  },
  UNSUPPORTED_VERSION: {
    kafka: 35,
    http: 400,
    retriable: false,
    todo: 'Use a version that ApiVersions lists.',
  },
  TOPIC_ALREADY_EXISTS: {
    kafka: 36,
    http: 409,
    retriable: false,
    todo: 'Choose another name, or alter the topic that exists.',
  },
  INVALID_PARTITIONS: {
    kafka: 37,
    http: 400,
    retriable: false,
    todo: 'Ask for at least one partition; a topic can only grow.',
  },
  INVALID_REPLICATION_FACTOR: {
    kafka: 38,
    http: 400,
    retriable: false,
    todo: 'Ask for at most as many replicas as there are brokers.',
  },
  INVALID_REPLICA_ASSIGNMENT: {
    kafka: 39,
    http: 400,
    retriable: false,
    todo: 'Name brokers of this cluster, each once a tablet, or leave the placement to Stele.',
  },
  INVALID_CONFIG: {
    kafka: 40,
    http: 400,
    retriable: false,
    todo: 'Check the name and the value of the setting.',
  },
  NOT_CONTROLLER: { kafka: 41, http: 503, retriable: true, todo: 'Try again.' },
  INVALID_REQUEST: {
    kafka: 42,
    http: 400,
    retriable: false,
    todo: 'The request contradicts itself; see the message.',
  },
  UNSUPPORTED_FOR_MESSAGE_FORMAT: {
    kafka: 43,
    http: 400,
    retriable: false,
    todo: 'Send record batches of magic 2 (Kafka 0.11 and newer).',
  },
  POLICY_VIOLATION: { kafka: 44, http: 403, retriable: false, todo: 'See the message.' },
  OUT_OF_ORDER_SEQUENCE_NUMBER: {
    kafka: 45,
    http: 409,
    retriable: false,
    todo: 'An earlier batch of this producer is missing: start the producer again.',
  },
  DUPLICATE_SEQUENCE_NUMBER: {
    kafka: 46,
    http: 409,
    retriable: false,
    todo: 'The batch was written before.',
  },
  INVALID_PRODUCER_EPOCH: {
    kafka: 47,
    http: 409,
    retriable: false,
    todo: 'A newer producer with this id has taken over.',
  },
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: {
    kafka: 53,
    http: 403,
    retriable: false,
    todo: 'Stele has no transactions yet: leave transactional.id unset.',
  },
  KAFKA_STORAGE_ERROR: {
    kafka: 56,
    http: 503,
    retriable: true,
    todo: "Look at the broker's log and at the space on its disk; nothing that was acknowledged is lost.",
  },
  UNKNOWN_PRODUCER_ID: { kafka: 59, http: 409, retriable: false, todo: 'Start the producer again.' },
  NON_EMPTY_GROUP: {
    kafka: 68,
    http: 409,
    retriable: false,
    todo: 'Stop the members of the group first.',
  },
  GROUP_ID_NOT_FOUND: {
    kafka: 69,
    http: 404,
    retriable: false,
    todo: 'Check the name of the group.',
  },
  INVALID_FETCH_SESSION_EPOCH: { kafka: 71, http: 400, retriable: true, todo: 'Start a new fetch session.' },
  FETCH_SESSION_ID_NOT_FOUND: { kafka: 70, http: 400, retriable: true, todo: 'Start a new fetch session.' },
  TOPIC_DELETION_DISABLED: {
    kafka: 73,
    http: 403,
    retriable: false,
    todo: 'Set delete.topic.enable to true and start the broker again.',
  },
  STALE_BROKER_EPOCH: { kafka: 77, http: 409, retriable: false, todo: 'Start the broker again.' },
  FENCED_LEADER_EPOCH: { kafka: 74, http: 409, retriable: true, todo: 'Ask for metadata again.' },
  UNKNOWN_LEADER_EPOCH: {
    kafka: 75,
    http: 409,
    retriable: true,
    todo: 'Try again: the broker has not heard of this epoch yet.',
  },
  UNSUPPORTED_COMPRESSION_TYPE: {
    kafka: 76,
    http: 400,
    retriable: false,
    todo: 'Use none, gzip, snappy, lz4 or zstd.',
  },
  OFFSET_NOT_AVAILABLE: {
    kafka: 78,
    http: 503,
    retriable: true,
    todo: 'Try again: the new leader is catching up.',
  },
  MEMBER_ID_REQUIRED: {
    kafka: 79,
    http: 409,
    retriable: false,
    todo: 'Join again with the member id that was answered.',
  },
  PREFERRED_LEADER_NOT_AVAILABLE: {
    kafka: 80,
    http: 409,
    retriable: true,
    todo: 'Wait until the preferred leader runs and is in sync.',
  },
  GROUP_MAX_SIZE_REACHED: {
    kafka: 81,
    http: 409,
    retriable: false,
    todo: 'Run fewer members, or raise group.max.size (or stele.group.memory.bytes, for all groups together).',
  },
  FENCED_INSTANCE_ID: {
    kafka: 82,
    http: 409,
    retriable: false,
    todo: 'Another member has joined with this group.instance.id: give each its own.',
  },
  ELIGIBLE_LEADERS_NOT_AVAILABLE: {
    kafka: 83,
    http: 409,
    retriable: true,
    todo: 'Bring a replica back that was in sync.',
  },
  ELECTION_NOT_NEEDED: { kafka: 84, http: 409, retriable: false, todo: 'Nothing: it is led as asked.' },
  NO_REASSIGNMENT_IN_PROGRESS: {
    kafka: 85,
    http: 409,
    retriable: false,
    todo: 'No replica of the partition moves: there is nothing to take back.',
  },
  GROUP_SUBSCRIBED_TO_TOPIC: {
    kafka: 86,
    http: 409,
    retriable: false,
    todo: 'The group reads this topic now: stop its members first.',
  },
  INVALID_RECORD: {
    kafka: 87,
    http: 400,
    retriable: false,
    todo: 'The batch contradicts itself or the topic; see the message.',
  },
  THROTTLING_QUOTA_EXCEEDED: { kafka: 89, http: 429, retriable: true, todo: 'Slow down and try again.' },
  UNKNOWN_TOPIC_ID: { kafka: 100, http: 404, retriable: true, todo: 'Ask for metadata again.' },
  INELIGIBLE_REPLICA: {
    kafka: 107,
    http: 409,
    retriable: true,
    todo: 'Start the broker again: it is leaving.',
  },
  MISMATCHED_ENDPOINT_TYPE: {
    kafka: 114,
    http: 400,
    retriable: false,
    todo: 'Ask for the brokers: endpoint type 1.',
  },
  UNSUPPORTED_ENDPOINT_TYPE: {
    kafka: 115,
    http: 400,
    retriable: false,
    todo: 'Ask for the brokers: endpoint type 1.',
  },
  INVALID_RECORD_STATE: {
    kafka: 121,
    http: 409,
    retriable: false,
    todo: 'The record is no longer with this consumer: go on with what it receives next.',
  },
  UNKNOWN_CONSUMER: {
    kafka: 25,
    http: 404,
    retriable: false,
    todo: 'Make a consumer again: one that does nothing for its idle time-out goes by itself, and none outlives the broker.',
  },
  INVALID_JSON: {
    kafka: 42,
    http: 400,
    retriable: false,
    todo: 'Send JSON as the example in the API description shows.',
  },
  BODY_TOO_LARGE: {
    kafka: 10,
    http: 413,
    retriable: false,
    todo: 'Send fewer records at once, or stream them as NDJSON.',
  },
  UNKNOWN_ROUTE: { kafka: 42, http: 404, retriable: false, todo: 'Look at /docs for the routes there are.' },
  METHOD_NOT_ALLOWED: {
    kafka: 42,
    http: 405,
    retriable: false,
    todo: 'Use one of the methods in the Allow header; /docs says what they do.',
  },
  REQUEST_TOO_SLOW: {
    kafka: 42,
    http: 408,
    retriable: true,
    todo: 'Send the whole request without a pause; stream what takes long as NDJSON.',
  },
  REQUEST_HEAD_TOO_LARGE: {
    kafka: 42,
    http: 431,
    retriable: false,
    todo: 'Send a shorter address and fewer headers.',
  },
  TOO_MANY_CONNECTIONS: {
    kafka: 42,
    http: 503,
    retriable: true,
    todo: 'Close connections that are not needed, or raise max.connections.',
  },
  BROKER_STOPPING: {
    kafka: 6,
    http: 503,
    retriable: true,
    todo: 'Try again in a moment: the broker is stopping.',
  },
} as const

export type RefusalCode = keyof typeof refusals

/** A "no" that a client is told. Not for bugs: those are `InvariantViolation`s. */
export class Refusal extends Error {
  override name = 'Refusal'
  readonly code: RefusalCode
  /** `message` is one sentence that names the thing refused; the table adds what to do. */
  constructor(code: RefusalCode, message: string) {
    super(message)
    this.code = code
  }
}
