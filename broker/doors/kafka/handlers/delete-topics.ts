import { Refusal } from '../../../../base/refusals.ts'
import type { Topic } from '../../../../control/model.ts'
import { deleteTopics } from '../../../../protocol/kafka/apis/delete-topics.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import type { Router } from '../../../router/router.ts'
import { attempt, plain, repeated, type Desk, type Handler } from './handler.ts'

type Asked = RequestOf<typeof deleteTopics>['topics'][number]

const noId = 'AAAAAAAAAAAAAAAAAAAAAA'

export const deleteTopicsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    deleteTopics,
    async (request, call) => {
      const all = asked(request)
      const twice = repeated(all.map(wanted => nameOf(desk.router, wanted)))
      const once = new Map(all.map(wanted => [nameOf(desk.router, wanted), wanted])).values()
      const responses = [...once].map(async wanted => {
        const outcome = await attempt(call, 'DeleteTopics', () => {
          if (twice.has(nameOf(desk.router, wanted)))
            throw new Refusal(
              'INVALID_REQUEST',
              `${JSON.stringify(wanted.name ?? wanted.topicId)} is to be deleted twice`,
            )
          return remove(desk.router, wanted)
        })
        return 'value' in outcome
          ? { name: outcome.value.name, topicId: outcome.value.id, errorCode: 0 }
          : { ...wanted, ...outcome }
      })
      return { responses: await Promise.all(responses) }
    },
    (failure, request) => ({ responses: asked(request).map(wanted => ({ ...wanted, ...failure })) }),
  )

const asked = ({ topics, topicNames }: RequestOf<typeof deleteTopics>): readonly Asked[] =>
  topicNames.length > 0 ? topicNames.map(name => ({ name, topicId: noId })) : topics

/** What tells topics apart, however they are asked for. */
const nameOf = (router: Router, { name, topicId }: Asked): string =>
  name ?? router.topicById(topicId)?.name ?? `the one with the id ${topicId}`

async function remove(router: Router, wanted: Asked): Promise<Topic> {
  if (!router.settings.deleteTopicEnable) {
    throw new Refusal('TOPIC_DELETION_DISABLED', 'delete.topic.enable is false')
  }
  const topic = find(router, wanted)
  await router.deleteTopic(topic.name, topic.id)
  return topic
}

function find(router: Router, { name, topicId }: Asked): Topic {
  if (name !== null && topicId !== noId) {
    throw new Refusal('INVALID_REQUEST', 'a topic is to be deleted by its name or by its id, not by both')
  }
  if (name !== null) {
    const topic = router.topics().get(name)
    if (topic === undefined)
      throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${JSON.stringify(name)}`)
    return topic
  }
  if (topicId === noId) throw new Refusal('INVALID_REQUEST', 'a topic has neither a name nor an id')
  const topic = router.topicById(topicId)
  if (topic === undefined) throw new Refusal('UNKNOWN_TOPIC_ID', `there is no topic with the id ${topicId}`)
  return topic
}
