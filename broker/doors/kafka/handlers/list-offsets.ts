import type { Offset } from '../../../../base/quantities.ts'
import { Refusal } from '../../../../base/refusals.ts'
import { listOffsets } from '../../../../protocol/kafka/apis/list-offsets.ts'
import type { RequestOf, ResponseOf } from '../../../../protocol/kafka/schema.ts'
import type { Tablet } from '../../../tablet/tablet.ts'
import { failureOf, plain, repeated, type Call, type Desk, type Handler } from './handler.ts'
import { checkLeaderEpoch } from './leader-epoch.ts'

type Asked = RequestOf<typeof listOffsets>['topics'][number]['partitions'][number]
type Told = ResponseOf<typeof listOffsets>['topics'][number]['partitions'][number]
type Found = { readonly offset: number; readonly timestamp: number; readonly leaderEpoch: number }

const latest = -1
const earliest = -2
const largestTimestamp = -3
const earliestLocal = -4

const nothing: Found = { offset: -1, timestamp: -1, leaderEpoch: -1 }

export const listOffsetsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    listOffsets,
    async ({ topics }, call) => {
      const told: { name: string; partitions: Told[] }[] = []
      for (const { name, partitions } of topics) {
        const twice = repeated(partitions.map(({ partitionIndex }) => partitionIndex))
        const answers: Told[] = []
        for (const asked of new Map(partitions.map(one => [one.partitionIndex, one])).values()) {
          answers.push(await tell(name, asked, twice.has(asked.partitionIndex), call))
        }
        told.push({ name, partitions: answers })
      }
      return { topics: told }
    },
    ({ errorCode }, { topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
      })),
    }),
  )

async function tell(topic: string, asked: Asked, twice: boolean, call: Call): Promise<Told> {
  const { partitionIndex } = asked
  try {
    if (twice) throw new Refusal('INVALID_REQUEST', `${topic}-${partitionIndex} is asked for twice`)
    const tablet = call.desk.router.leading(topic, partitionIndex)
    checkLeaderEpoch(tablet, asked.currentLeaderEpoch)
    return { partitionIndex, errorCode: 0, ...(await find(tablet, asked.timestamp, call.version)) }
  } catch (error) {
    return { partitionIndex, errorCode: failureOf(error, call, 'ListOffsets').errorCode }
  }
}

/** Where no record is yet, the epoch of the one to come. */
function epochAt(tablet: Tablet, at: Offset): number {
  const epoch = tablet.epochOf(at)
  return epoch < 0 ? tablet.epoch : epoch
}

async function find(tablet: Tablet, timestamp: number, version: number): Promise<Found> {
  if (timestamp === latest) {
    return { offset: tablet.latest, timestamp: -1, leaderEpoch: tablet.epoch }
  }
  if (timestamp === earliest || (timestamp === earliestLocal && version >= 8)) {
    return { offset: tablet.logStart, timestamp: -1, leaderEpoch: epochAt(tablet, tablet.logStart) }
  }
  if (timestamp < 0 && (timestamp !== largestTimestamp || version < 7)) {
    throw new Refusal('UNSUPPORTED_VERSION', `offsets for timestamp ${timestamp} in version ${version}`)
  }
  const found = timestamp < 0 ? await tablet.maxTimestamp() : await tablet.offsetForTimestamp(timestamp)
  if (found === undefined) return nothing
  return { offset: found.offset, timestamp: found.timestampMs, leaderEpoch: tablet.epochOf(found.offset) }
}
