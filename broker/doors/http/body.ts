import type { IncomingMessage } from 'node:http'
import { KIB } from '../../../base/quantities.ts'
import { Refusal } from '../../../base/refusals.ts'
import type { Clock } from '../../../base/world.ts'
import type { Budget } from './budget.ts'
import { invalid } from './errors.ts'

/** A body that is not there by then is given up. */
const bodyMsMax = 60_000

/** What is taken of the budget at first for a body that does not say its length; then twice as much each time. */
const unknownBytes = 64 * KIB

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
  if (announced === undefined && request.headers['transfer-encoding'] === undefined) return use(noBytes)
  if (Number(announced) > limits.bytesMax) throw tooLarge(limits.bytesMax)
  const bytes = announced === undefined ? unknownBytes : Number(announced)
  const collecting = new Collecting(request, limits, bytes, await limits.budget.take(bytes))
  try {
    return await use(await collecting.whole())
  } finally {
    collecting.giveBack()
  }
}

const tooLarge = (bytesMax: number): Refusal =>
  new Refusal('BODY_TOO_LARGE', `The body is larger than ${bytesMax} bytes (stele.http.body.max.bytes)`)

const crowded = (): Refusal =>
  new Refusal(
    'THROTTLING_QUOTA_EXCEEDED',
    'Too many bodies are being received at once for one that does not say its length; with Content-Length it would wait its turn',
  )

class Collecting {
  readonly #request: IncomingMessage
  readonly #limits: BodyLimits
  readonly #chunks: Buffer[] = []
  #bytes = 0
  #takenBytes: number
  readonly #taken: (() => void)[]

  constructor(request: IncomingMessage, limits: BodyLimits, takenBytes: number, giveBack: () => void) {
    this.#request = request
    this.#limits = limits
    this.#takenBytes = takenBytes
    this.#taken = [giveBack]
  }

  giveBack(): void {
    for (const giveBack of this.#taken.splice(0)) giveBack()
  }

  async whole(): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const refuse = (): void => reject(invalid('The request broke off before its body was whole'))
    const take = (chunk: Buffer): void => {
      this.#bytes += chunk.length
      if (this.#bytes > this.#limits.bytesMax) reject(tooLarge(this.#limits.bytesMax))
      else if (!this.#take(chunk)) reject(crowded())
    }
    const timer = this.#limits.clock.after(bodyMsMax, () => {
      reject(new Refusal('REQUEST_TOO_SLOW', `The body had not come whole after ${bodyMsMax / 1000} s`))
    })
    if (this.#request.destroyed) refuse()
    this.#request.on('data', take).on('end', resolve).on('close', refuse)
    try {
      await promise
      return Buffer.concat(this.#chunks)
    } finally {
      timer.cancel()
      this.#request.off('data', take).off('end', resolve).off('close', refuse)
    }
  }

  /** False when a body that did not say its length has grown larger than there is memory: waiting for it while holding some could last for ever. */
  #take(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    while (this.#bytes > this.#takenBytes) {
      const giveBack = this.#limits.budget.tryTake(this.#takenBytes)
      if (giveBack === undefined) return false
      this.#taken.push(giveBack)
      this.#takenBytes *= 2
    }
    return true
  }
}
