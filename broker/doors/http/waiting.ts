import type { IncomingMessage } from 'node:http'
import type { Tablet } from '../../tablet/tablet.ts'
import type { Serving } from './serving.ts'

/**
 * Resolves when there may be something to read at `from`: the high watermark has passed it, the tablet went away, the client did,
 * the broker stops, or `waitMs` are over (Infinity is for ever). Without polling.
 */
export function readable(
  { world, stopping }: Serving,
  tablet: Tablet,
  from: number,
  waitMs: number,
  request: IncomingMessage,
): Promise<void> {
  return new Promise(resolve => {
    const end = (): void => {
      forgetReading()
      forgetStopping()
      timer?.cancel()
      request.socket.off('close', end)
      resolve()
    }
    const timer = waitMs === Infinity ? undefined : world.clock.after(waitMs, end)
    const forgetReading = tablet.onReadable(end)
    request.socket.on('close', end)
    let forgetStopping = (): void => {}
    forgetStopping = stopping.whenBegun(end)
    if (tablet.highWatermark > from || request.socket.destroyed) end()
  })
}
