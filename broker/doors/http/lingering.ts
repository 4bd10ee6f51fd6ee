import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../../base/world.ts'

const lingerMs = 5000

/**
 * After an answer that came before the whole request: what still comes is read and thrown away for a while, so that the client
 * gets to read the answer before the connection goes; a client that just goes on sending is cut off.
 */
export function lingerFor(clock: Clock, request: IncomingMessage): void {
  if (request.complete) return
  request.resume()
  const timer = clock.after(lingerMs, () => request.destroy())
  request.once('close', () => timer.cancel())
}
