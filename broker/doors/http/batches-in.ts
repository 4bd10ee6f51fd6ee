import type { FastifyInstance } from 'fastify'
import { batchBytesOf, batchHeaderBytes } from '../../../protocol/kafka/record-batch.ts'
import type { Appending } from '../../tablet/appending.ts'
import { withBody } from './body.ts'
import { invalid } from './errors.ts'
import { forwardedHeader } from './peers.ts'
import { acksOf, parametersOf } from './parameters.ts'
import { bodyLimits } from './records-in.ts'
import { tabletAsked } from './records-out.ts'
import { appendMsMax, type Appended } from './remote-appends.ts'
import type { Serving } from './serving.ts'

const batchesPath = '/v1/topics/:topic/partitions/:partition/batches'

/** Where other brokers' batches come in. Not for clients: what they may say is the same, but only brokers speak batches here. */
export function addBatches(app: FastifyInstance, serving: Serving): void {
  app.post(batchesPath, { schema: { hide: true } }, async request => {
    if (request.headers[forwardedHeader] === undefined)
      throw invalid('Only brokers write batches here', 'Write records to /v1/topics/{topic}/records.')
    const acks = acksOf(parametersOf(request.url, ['acks']))
    const { topic, partition } = tabletAsked(request)
    const { router, world } = serving
    const limits = { ...bodyLimits(serving), bytesMax: router.settings.socketRequestMaxBytes }
    return withBody(request.raw, limits, batch => {
      const tablet = router.forClients(topic, partition)
      if (batch.length < batchHeaderBytes || batchBytesOf(batch, 0) !== batch.length)
        throw invalid('The body is not one record batch')
      return new Promise<Appended>((resolve, reject) => {
        const appending: Appending = {
          appended: (_slot, base, time) => resolve({ base_offset: base, log_append_time: time }),
          refused: (_slot, refusal) => reject(refusal),
        }
        const deadlineMs = world.clock.monotonicMs() + appendMsMax
        try {
          tablet.append(batch, 0, batch.length, acks, deadlineMs, appending, 0)
        } catch (error) {
          reject(error)
        }
      })
    })
  })
}
