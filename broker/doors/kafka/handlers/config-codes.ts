import type { Source } from '../../../settings/resolve.ts'
import type { KafkaType } from '../../../../control/settings/values.ts'

/** Kafka's ConfigResource.Type. */
export const topicResource = 2
export const brokerResource = 4
export const brokerLoggerResource = 8

/** Kafka's DescribeConfigsResponse.ConfigSource. */
const sources: Readonly<Record<Source, number>> = {
  topic: 1,
  'dynamic-default-broker': 3,
  'static-broker': 4,
  default: 5,
}
export const sourceCode = (source: Source): number => sources[source]
export const brokerLoggerSource = 6

/** Kafka's DescribeConfigsResponse.ConfigType. */
const types: Readonly<Record<KafkaType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
}
export const typeCode = (type: KafkaType): number => types[type]
