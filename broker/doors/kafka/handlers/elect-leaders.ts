import { Refusal } from '../../../../base/refusals.ts'
import type { Clock } from '../../../../base/world.ts'
import { electLeaders } from '../../../../protocol/kafka/apis/elect-leaders.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import type { Router } from '../../../router/router.ts'
import { attempt, codeOf, plain, type Desk, type Handler } from './handler.ts'

type Asked = NonNullable<RequestOf<typeof electLeaders>['topicPartitions']>[number]
type Result = { partitionId: number; errorCode: number; errorMessage: string | null }

const types = { preferred: 0, unclean: 1 }
const lookMs = 20

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

/** Resolves when the preferred leader leads. */
export async function prefer(
  router: Router,
  clock: Clock,
  topic: string,
  partition: number,
  deadlineMs: number,
): Promise<void> {
  if (router.prefer(topic, partition))
    throw new Refusal('ELECTION_NOT_NEEDED', `${topic}-${partition} is led by its preferred leader`)
  do {
    if (clock.monotonicMs() >= deadlineMs)
      throw new Refusal('REQUEST_TIMED_OUT', `${topic}-${partition} goes to its preferred leader later`)
    await new Promise<void>(resolve => clock.after(lookMs, resolve))
    // Asked for once: after a hand-over that went wrong there is a pause.
  } while (!router.isPreferred(topic, partition))
}

/** Resolves when somebody leads in the next epoch. */
async function electUnclean(
  router: Router,
  clock: Clock,
  topic: string,
  partition: number,
  deadlineMs: number,
): Promise<void> {
  const ended = await router.allowUnclean(topic, partition)
  for (;;) {
    const { epoch, leader, found = [] } = router.assignment(topic, partition)
    if (epoch > ended && leader !== undefined) return
    if (clock.monotonicMs() >= deadlineMs) {
      const heard = found.map(({ broker }) => broker).join(', ')
      const why = `${topic}-${partition} gets a leader as soon as every broker that is there has said what it holds; heard so far: ${heard || 'nobody'}`
      throw new Refusal('ELIGIBLE_LEADERS_NOT_AVAILABLE', why)
    }
    await new Promise<void>(resolve => clock.after(lookMs, resolve))
  }
}
