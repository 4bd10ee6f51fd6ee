import type { IncomingMessage } from 'node:http'
import type { Tablet } from '../../tablet/tablet.ts'
import type { Serving } from './serving.ts'

/**
 * Resolves when there may be something to read at `from`: the high watermark has passed it, the tablet went away, the client did,
 * the broker stops, or `waitMs` are over (Infinity is for ever). Without polling.
 */
export async function readable(
  { world, stopping }: Serving,
  tablet: Tablet,
  from: number,
  waitMs: number,
  { socket }: IncomingMessage,
): Promise<void> {
  if (tablet.highWatermark > from || socket.destroyed || stopping.begun) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = waitMs === Infinity ? undefined : world.clock.after(waitMs, resolve)
  const forgetReading = tablet.onReadable(() => resolve())
  const forgetStopping = stopping.whenBegun(resolve)
  socket.on('close', resolve)
  await promise
  timer?.cancel()
  forgetReading()
  forgetStopping()
  socket.off('close', resolve)
}
