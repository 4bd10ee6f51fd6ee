import type { IncomingMessage } from 'node:http'
import { Refusal } from '../../../base/refusals.ts'
import type { Clock } from '../../../base/world.ts'
import type { Budget } from './budget.ts'
import { invalid } from './errors.ts'

/** A body that is not there by then is given up. */
const bodyMsMax = 60_000

const noBytes: Buffer = Buffer.alloc(0)

export type BodyLimits = { readonly clock: Clock; readonly bytesMax: number; readonly budget: Budget }

/**
 * Reads the whole body and hands it to `use`; until that has ended, its size counts against the budget.
 * @throws Refusal BODY_TOO_LARGE, REQUEST_TOO_SLOW, INVALID_REQUEST (it broke off)
 */
export async function withBody<Result>(
  request: IncomingMessage,
  limits: BodyLimits,
  use: (body: Buffer) => Promise<Result>,
): Promise<Result> {
  const announced = request.headers['content-length']
  const chunked = request.headers['transfer-encoding'] !== undefined
  if (announced === undefined && !chunked) return use(noBytes)
  const bytes = announced === undefined ? limits.bytesMax : Number(announced)
  if (bytes > limits.bytesMax) throw tooLarge(limits.bytesMax)
  const giveBack = await limits.budget.take(bytes)
  try {
    return await use(await collect(request, limits))
  } finally {
    giveBack()
  }
}

export const tooLarge = (bytesMax: number): Refusal =>
  new Refusal('BODY_TOO_LARGE', `The body is larger than ${bytesMax} bytes (stele.http.body.max.bytes)`)

function collect(request: IncomingMessage, { clock, bytesMax }: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const stop = (): void => {
      timer.cancel()
      request.off('data', onData).off('end', onEnd).off('close', onClose)
    }
    const refuse = (refusal: Refusal): void => {
      stop()
      reject(refusal)
    }
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length
      if (bytes > bytesMax) refuse(tooLarge(bytesMax))
      else chunks.push(chunk)
    }
    const onEnd = (): void => {
      stop()
      resolve(chunks.length === 1 ? (chunks[0] ?? noBytes) : Buffer.concat(chunks))
    }
    const onClose = (): void => refuse(invalid('The request broke off before its body was whole'))
    const timer = clock.after(bodyMsMax, () => {
      refuse(new Refusal('REQUEST_TOO_SLOW', `The body had not come whole after ${bodyMsMax / 1000} s`))
    })
    if (request.destroyed) onClose()
    else request.on('data', onData).on('end', onEnd).on('close', onClose)
  })
}
