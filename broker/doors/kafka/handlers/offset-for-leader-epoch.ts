import { offsetForLeaderEpoch } from '../../../../protocol/kafka/apis/offset-for-leader-epoch.ts'
import { failureOf, plain, type Desk, type Handler } from './handler.ts'
import { checkLeaderEpoch } from './leader-epoch.ts'

/** What is answered to epochs that there cannot be. */
const none = { epoch: -1, endOffset: -1 }

export const offsetForLeaderEpochHandler = (desk: Desk): Handler =>
  plain(
    desk,
    offsetForLeaderEpoch,
    ({ topics }, call) => ({
      topics: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
          try {
            const tablet = desk.router.leading(topic, partition)
            checkLeaderEpoch(tablet, currentLeaderEpoch)
            const { epoch, endOffset } = leaderEpoch < 0 ? none : tablet.endOfEpoch(leaderEpoch)
            return { errorCode: 0, partition, leaderEpoch: epoch, endOffset }
          } catch (error) {
            return { errorCode: failureOf(error, call, 'OffsetForLeaderEpoch').errorCode, partition }
          }
        }),
      })),
    }),
    ({ errorCode }, { topics }) => ({
      topics: topics.map(({ topic, partitions }) => ({
        topic,
        partitions: partitions.map(({ partition }) => ({ errorCode, partition })),
      })),
    }),
  )
