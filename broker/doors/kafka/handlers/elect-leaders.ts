import { Refusal } from '../../../../base/refusals.ts'
import { electLeaders } from '../../../../protocol/kafka/apis/elect-leaders.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import { electUnclean, prefer } from '../../../router/elections.ts'
import type { Router } from '../../../router/router.ts'
import { attempt, codeOf, plain, type Desk, type Handler } from './handler.ts'

type Asked = NonNullable<RequestOf<typeof electLeaders>['topicPartitions']>[number]
type Result = { partitionId: number; errorCode: number; errorMessage: string | null }

const types = { preferred: 0, unclean: 1 }

export const electLeadersHandler = (desk: Desk): Handler =>
  plain(
    desk,
    electLeaders,
    async ({ electionType, topicPartitions, timeoutMs }, call) => {
      const { router } = desk
      const { clock } = desk.world
      if (timeoutMs <= 0 && topicPartitions?.length !== 0)
        throw new Refusal('REQUEST_TIMED_OUT', 'no time was given for elections')
      const deadlineMs = clock.monotonicMs() + timeoutMs
      const elect = async (topic: string, partitionId: number): Promise<Result> => {
        const outcome = await attempt(call, 'ElectLeaders', () => {
          if (electionType === types.preferred) return prefer(router, clock, topic, partitionId, deadlineMs)
          if (electionType === types.unclean)
            return electUnclean(router, clock, topic, partitionId, deadlineMs)
          throw new Refusal('INVALID_REQUEST', `there is no election of type ${electionType}`)
        })
        if ('value' in outcome) return { partitionId, errorCode: 0, errorMessage: null }
        return { partitionId, ...outcome }
      }
      const results = (topicPartitions ?? everything(router)).map(async ({ topic, partitions }) => ({
        topic,
        partitionResult: await Promise.all(partitions.map(partition => elect(topic, partition))),
      }))
      const told = await Promise.all(results)
      if (topicPartitions !== null) return { replicaElectionResults: told }
      // As Kafka does: who asks for all is told of those where there was something to do.
      const done = ({ errorCode }: Result): boolean => errorCode !== codeOf('ELECTION_NOT_NEEDED')
      return {
        replicaElectionResults: told.map(({ topic, partitionResult }) => ({
          topic,
          partitionResult: partitionResult.filter(done),
        })),
      }
    },
    ({ errorCode }) => ({ errorCode, replicaElectionResults: [] }),
  )

const everything = (router: Router): Asked[] =>
  [...router.topics().values()].map(({ name, tablets }) => ({
    topic: name,
    partitions: [...tablets.keys()],
  }))
