import { offset } from '../../../../base/quantities.ts'
import { Refusal } from '../../../../base/refusals.ts'
import { deleteRecords } from '../../../../protocol/kafka/apis/delete-records.ts'
import { attempt, plain, type Desk, type Handler } from './handler.ts'

const toHighWatermark = -1

export const deleteRecordsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    deleteRecords,
    async ({ topics }, call) => {
      const told = topics.map(async ({ name, partitions }) => ({
        name,
        partitions: await Promise.all(
          partitions.map(async ({ partitionIndex, offset: before }) => {
            const outcome = await attempt(call, 'DeleteRecords', () =>
              deleteBefore(desk, name, partitionIndex, before),
            )
            return 'value' in outcome
              ? { partitionIndex, lowWatermark: outcome.value, errorCode: 0 }
              : { partitionIndex, lowWatermark: -1, errorCode: outcome.errorCode }
          }),
        ),
      }))
      return { topics: await Promise.all(told) }
    },
    ({ errorCode }, { topics }) => ({
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, lowWatermark: -1, errorCode })),
      })),
    }),
  )

function deleteBefore({ router }: Desk, topic: string, partition: number, before: number): Promise<number> {
  const tablet = router.forDeletion(topic, partition)
  if (before < toHighWatermark) throw new Refusal('OFFSET_OUT_OF_RANGE', `${before} is no offset`)
  return tablet.deleteRecordsBefore(before === toHighWatermark ? tablet.highWatermark : offset(before))
}
