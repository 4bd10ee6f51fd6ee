import { brokerId } from '../../../../base/quantities.ts'
import { Refusal } from '../../../../base/refusals.ts'
import type { WriteOptions } from '../../../../control/store.ts'
import { createPartitions } from '../../../../protocol/kafka/apis/create-partitions.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import type { Router } from '../../../router/router.ts'
import { attempt, plain, repeated, type Desk, type Handler } from './handler.ts'

type Asked = RequestOf<typeof createPartitions>['topics'][number]

export const createPartitionsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    createPartitions,
    async ({ topics, validateOnly, timeoutMs }, call) => {
      const { clock } = desk.world
      const deadlineMs = clock.monotonicMs() + timeoutMs
      const twice = repeated(topics.map(({ name }) => name))
      const results: { name: string; errorCode: number; errorMessage: string | null }[] = []
      for (const asked of new Map(topics.map(topic => [topic.name, topic])).values()) {
        const outcome = await attempt(call, 'CreatePartitions', () => {
          if (twice.has(asked.name))
            throw new Refusal('INVALID_REQUEST', `${asked.name} is to be grown twice`)
          const leftMs = Math.max(0, deadlineMs - clock.monotonicMs())
          return grow(desk.router, asked, { validateOnly, timeoutMs: leftMs })
        })
        if (!('value' in outcome)) results.push({ name: asked.name, ...outcome })
        else results.push({ name: asked.name, errorCode: 0, errorMessage: null })
      }
      return { results }
    },
    (failure, { topics }) => ({ results: topics.map(({ name }) => ({ name, ...failure })) }),
  )

async function grow(
  router: Router,
  { name, count, assignments }: Asked,
  options: WriteOptions,
): Promise<void> {
  const topic = router.topics().get(name)
  if (topic === undefined)
    throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${JSON.stringify(name)}`)
  const replicas = assignments?.map(({ brokerIds }) => brokerIds.map(brokerId))
  await router.addTablets(topic.id, count, replicas === undefined ? options : { ...options, replicas })
}
