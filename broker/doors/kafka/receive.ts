/**
 * Enters: sockets as a server accepts them. Leaves: their bytes, read by the system straight into buffers that we choose.
 * Always holds: only this module touches a socket's handle, which Node does not document. Without it the bytes come as `data`
 * events, slower and otherwise the same.
 */
import { Socket } from 'node:net'

/** Who takes the bytes of one socket. */
export type Receiver = {
  /** Where the next bytes shall go; never empty. Asked after each `arrived`, and its answer is used until the next one. */
  target(): Buffer
  /** `bytes` bytes have come and stand at the beginning of `buffer`: the last target, or a buffer of the system's. */
  arrived(buffer: Buffer, bytes: number): void
}

export type Received = {
  readonly socket: Socket
  /** Whether the bytes go into the receiver's targets. */
  readonly intoTargets: boolean
  /** Bytes that have left this process so far; grows also while one long write is under way. */
  sentBytes(): number
}

type Handle = {
  readonly bytesWritten: number
  readonly writeQueueSize: number
  useUserBuffer(buffer: Buffer): void
}

/** Windows reads ahead into a target, so that two sockets could not share one. */
const targetsWork = process.platform !== 'win32'

/**
 * Starts reading from `accepted`, a socket of a server with `pauseOnConnect`, which is not to be used any more afterwards:
 * the socket of the answer stands in its place. `asTargets` false asks for the slower way.
 */
export function receive(accepted: Socket, receiver: Receiver, asTargets = targetsWork): Received {
  const handle = handleOf(accepted)
  if (handle === undefined || !asTargets) return receiveEvents(accepted, receiver)
  Object.assign(accepted, { _handle: null })
  const socket = new Socket({
    // @ts-expect-error -- the undocumented option this module is about
    handle,
    onread: {
      buffer: () => receiver.target(),
      callback: (bytes: number, buffer: Buffer) => {
        receiver.arrived(buffer, bytes)
        return true
      },
    },
  })
  return {
    socket,
    intoTargets: true,
    sentBytes: () => handle.bytesWritten - handle.writeQueueSize,
  }
}

function receiveEvents(socket: Socket, receiver: Receiver): Received {
  socket.on('data', (chunk: Buffer) => receiver.arrived(chunk, chunk.length))
  socket.resume()
  return { socket, intoTargets: false, sentBytes: () => socket.bytesWritten - socket.writableLength }
}

function handleOf(socket: Socket): Handle | undefined {
  const handle = (socket as unknown as { _handle?: Partial<Handle> | null })._handle
  const usable =
    typeof handle?.useUserBuffer === 'function' &&
    typeof handle.bytesWritten === 'number' &&
    typeof handle.writeQueueSize === 'number'
  return usable ? (handle as Handle) : undefined
}
