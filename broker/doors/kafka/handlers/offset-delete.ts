import { offsetDelete } from '../../../../protocol/kafka/apis/offset-delete.ts'
import { checkGroupId, errorOf } from './group-requests.ts'
import { codeOf, plain, type Desk, type Handler } from './handler.ts'

export const offsetDeleteHandler = (desk: Desk): Handler =>
  plain(
    desk,
    offsetDelete,
    async ({ groupId, topics }) => {
      checkGroupId(groupId)
      const known = desk.router.topics()
      const wanted = topics.flatMap(({ name, partitions }) =>
        partitions
          .filter(({ partitionIndex }) => known.get(name)?.tablets[partitionIndex] !== undefined)
          .map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
      )
      const told = await desk.router.groups.of(groupId).deleteOffsets(groupId, wanted)
      if (typeof told === 'string') return { errorCode: errorOf(told), topics: [] }
      const codes = new Map(
        wanted.map(({ topic, partition }, i) => [`${topic}-${partition}`, errorOf(told[i])]),
      )
      return {
        errorCode: 0,
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map(({ partitionIndex }) => ({
            partitionIndex,
            errorCode: codes.get(`${name}-${partitionIndex}`) ?? codeOf('UNKNOWN_TOPIC_OR_PARTITION'),
          })),
        })),
      }
    },
    ({ errorCode }) => ({ errorCode, topics: [] }),
  )
