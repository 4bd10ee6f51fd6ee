import { Refusal } from '../../../../base/refusals.ts'
import type { Topic } from '../../../../control/model.ts'
import { deleteTopics } from '../../../../protocol/kafka/apis/delete-topics.ts'
import type { RequestOf } from '../../../../protocol/kafka/schema.ts'
import type { Router } from '../../../router/router.ts'
import { attempt, plain, type Desk, type Handler } from './handler.ts'

type Asked = RequestOf<typeof deleteTopics>['topics'][number]

const noId = 'AAAAAAAAAAAAAAAAAAAAAA'

export const deleteTopicsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    deleteTopics,
    async (request, call) => {
      const responses = asked(request).map(async wanted => {
        const outcome = await attempt(call, 'DeleteTopics', () => remove(desk.router, wanted))
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
  const topic = router.topicById(topicId)
  if (topic === undefined) throw new Refusal('UNKNOWN_TOPIC_ID', `there is no topic with the id ${topicId}`)
  return topic
}
