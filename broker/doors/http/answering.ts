import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InvariantViolation } from '../../../base/assert.ts'
import { Refusal } from '../../../base/refusals.ts'
import { errorBody, invalid, shown, statusOf } from './errors.ts'
import type { Serving } from './serving.ts'

/** Makes every error of any route leave as the API's error JSON, and logs it. */
export function answerErrors(app: FastifyInstance, serving: Serving): void {
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, serving))
}

export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { log }: Serving,
): FastifyReply {
  const refusal = asRefusal(error, request)
  const { method, url } = request
  const status = statusOf(refusal)
  if (refusal.code === 'UNKNOWN_SERVER_ERROR')
    log.error({ err: error, method, url }, 'an HTTP request failed')
  else log.debug({ method, url, status, code: refusal.code }, refusal.message)
  if (status === 503) reply.header('retry-after', '1')
  return reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send(`${JSON.stringify(errorBody(refusal))}\n`)
}

function asRefusal(error: unknown, request: FastifyRequest): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof InvariantViolation) {
    // Fastify has caught what must stop the process.
    queueMicrotask(() => {
      throw error
    })
  }
  switch ((error as { code?: unknown }).code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return invalid(
        `The header Content-Type is ${shown(request.headers['content-type'] ?? '')}, which is no media type`,
        'Write application/json or application/x-ndjson, or leave it out.',
      )
    case 'FST_ERR_BAD_URL':
      return invalid(
        `The path ${shown(request.url)} is not valid percent-encoding of UTF-8`,
        'Write a percent sign as %25.',
      )
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Refusal('UNKNOWN_ROUTE', `A part of the path ${shown(request.url)} is too long`)
    default:
      return new Refusal('UNKNOWN_SERVER_ERROR', 'The broker failed to handle the request')
  }
}
