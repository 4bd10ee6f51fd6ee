import type { RefusalCode } from '../../../../base/refusals.ts'
import { offsetCommit } from '../../../../protocol/kafka/apis/offset-commit.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import type { OffsetCommit } from '../../../groups/coordinator.ts'
import { errorOf } from './group-requests.ts'
import { failureOf, plain, type Call, type Desk, type Handler } from './handler.ts'

type Asked = RequestOf<typeof offsetCommit>
type AskedPartition = Asked['topics'][number]['partitions'][number]

/** Clients before that do not know GROUP_ID_NOT_FOUND here. */
const groupNotFoundSince = 9

export const offsetCommitHandler = (desk: Desk): Handler =>
  plain(
    desk,
    offsetCommit,
    async (asked, call) => {
      const wanted: OffsetCommit[] = []
      // Why a partition's offset is not taken; undefined for those that are offered.
      const wrong = asked.topics.map(({ name, partitions }) =>
        partitions.map(partition => {
          const refused = refuse(name, partition, desk)
          if (refused === undefined) wanted.push(translate(name, partition, asked, desk))
          return refused
        }),
      )
      const outcome = wanted.length === 0 ? 0 : await commit(asked, wanted, call)
      return {
        topics: asked.topics.map(({ name, partitions }, t) => ({
          name,
          partitions: partitions.map(({ partitionIndex }, p) => {
            const refused = wrong[t]?.[p]
            return { partitionIndex, errorCode: refused === undefined ? outcome : errorOf(refused) }
          }),
        })),
      }
    },
    ({ errorCode }, { topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
      })),
    }),
  )

function refuse(topic: string, asked: AskedPartition, { router }: Desk): RefusalCode | undefined {
  const { partitionIndex, committedMetadata } = asked
  if (router.topics().get(topic)?.tablets[partitionIndex] === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  return (committedMetadata?.length ?? 0) > router.settings.offsetMetadataMaxBytes
    ? 'OFFSET_METADATA_TOO_LARGE'
    : undefined
}

function translate(topic: string, asked: AskedPartition, whole: Asked, { world }: Desk): OffsetCommit {
  const nowMs = world.clock.nowMs()
  const value = {
    offset: asked.committedOffset,
    leaderEpoch: asked.committedLeaderEpoch,
    metadata: asked.committedMetadata ?? '',
    commitTimestamp: nowMs,
    // Clients before version 5 could say themselves how long their offset is to be kept.
    expireTimestamp: whole.retentionTimeMs < 0 ? -1 : nowMs + whole.retentionTimeMs,
  }
  return { topic, partition: asked.partitionIndex, value }
}

/** The error code for everything that was offered. */
async function commit(asked: Asked, wanted: readonly OffsetCommit[], call: Call): Promise<number> {
  const { groupId, memberId, groupInstanceId, generationIdOrMemberEpoch } = asked
  const speaker = { memberId, instanceId: groupInstanceId, generation: generationIdOrMemberEpoch }
  try {
    const refused = await call.desk.router.groups.of(groupId).commit(groupId, speaker, wanted)
    const olderClient = refused === 'GROUP_ID_NOT_FOUND' && call.version < groupNotFoundSince
    return errorOf(olderClient ? 'ILLEGAL_GENERATION' : refused)
  } catch (error) {
    return failureOf(error, call, 'OffsetCommit').errorCode
  }
}
