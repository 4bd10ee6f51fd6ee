import { api, array, int16, int32, string, uuid } from '../schema.ts'

/** From version 6 on, `topics` names topics by name or by id; before, `topicNames` does. */
export const deleteTopics = api({
  key: 20,
  name: 'DeleteTopics',
  versions: '1-6',
  flexible: '4+',
  request: {
    topics: array({ name: string.nullable(6).default(null), topicId: uuid })
      .since(6)
      .default([]),
    topicNames: array(string).until(5).default([]),
    timeoutMs: int32,
  },
  response: {
    throttleTimeMs: int32.default(0),
    responses: array({
      name: string.nullable(6),
      topicId: uuid.since(6),
      errorCode: int16,
      errorMessage: string.since(5).nullable(5).default(null),
    }),
  },
})
