import { Refusal } from '../../../../base/refusals.ts'
import { initProducerId } from '../../../../protocol/kafka/apis/init-producer-id.ts'
import { plain, type Desk, type Handler } from './handler.ts'

/**
 * A new producer id each time, also for who has one: that is how an idempotent producer without transactions starts over, as
 * in Kafka. Of the refusals for a transactional id, this one is final for Java and librdkafka; others they retry for ever.
 */
export const initProducerIdHandler = (desk: Desk): Handler =>
  plain(
    desk,
    initProducerId,
    ({ transactionalId, producerId, producerEpoch }) => {
      if (transactionalId === '') throw new Refusal('INVALID_REQUEST', 'a transactional id is not empty')
      if (producerId < 0 !== producerEpoch < 0)
        throw new Refusal('INVALID_REQUEST', 'a producer has both an id and an epoch, or neither')
      if (transactionalId !== null) {
        throw new Refusal('TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'there are no transactions')
      }
      return { errorCode: 0, producerId: desk.router.newProducerId(), producerEpoch: 0 }
    },
    ({ errorCode }) => ({ errorCode, producerId: -1, producerEpoch: -1 }),
  )
