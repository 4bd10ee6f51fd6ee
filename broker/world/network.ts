/** The real network: TCP by node:net, without delay of small pieces. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { KIB } from '../../base/quantities.ts'
import type { Connection, ConnectionEnd, ConnectionEvents, Network } from '../../base/world.ts'

const connectMsMax = 2_000
/** A machine that vanished says nothing: after so much silence the system asks whether it is there. */
/** What is read is taken at once: one for all connections, so that copies of gigabytes leave nothing to the garbage collector. */
const readBuffer = Buffer.allocUnsafeSlow(256 * KIB)
const keepAlive = { keepAlive: true, keepAliveInitialDelay: 10_000 }

export const realNetwork: Network = {
  connect({ host, port }, events) {
    const read = (count: number): boolean => {
      received(readBuffer.subarray(0, count))
      return true
    }
    const socket = connect({
      host,
      port,
      noDelay: true,
      ...keepAlive,
      onread: { buffer: readBuffer, callback: read },
    })
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }))
    }, connectMsMax)
    timer.unref()
    socket.once('connect', () => {
      clearTimeout(timer)
      events.opened()
    })
    const { connection, received } = connectionOf(socket, events, () => clearTimeout(timer))
    return connection
  },

  listen({ host, port }, accept) {
    const sockets = new Set<Socket>()
    const server = createServer({ noDelay: true, ...keepAlive }, socket => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      // Who is told is known only when the connection is.
      let events: ConnectionEvents | undefined
      const { connection, received } = connectionOf(socket, {
        opened: () => undefined,
        received: bytes => events?.received(bytes),
        closed: why => events?.closed(why),
      })
      socket.on('data', received)
      events = accept(connection)
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, ...(host !== '' && { host }) }, () => {
        server.off('error', reject)
        resolve({ port: portOf(server), close: () => closeAll(server, sockets) })
      })
    })
  },
}

function connectionOf(
  socket: Socket,
  events: ConnectionEvents,
  ended: () => void = () => undefined,
): { readonly connection: Connection; readonly received: (bytes: Buffer) => void } {
  let over = false
  let ordered = false
  const end = (why: ConnectionEnd): void => {
    if (over) return
    over = true
    ended()
    socket.destroy()
    events.closed(why)
  }
  const received = (bytes: Buffer): void => {
    if (!over) events.received(bytes)
  }
  socket.on('end', () => {
    ordered = true
    end('ended')
  })
  socket.on('error', (error: NodeJS.ErrnoException) => end(endOf(error.code)))
  socket.on('close', () => end(ordered ? 'ended' : 'reset'))
  const connection: Connection = {
    send(pieces, done) {
      if (over) return done?.()
      socket.cork()
      for (const [i, piece] of pieces.entries())
        socket.write(piece, i === pieces.length - 1 ? () => done?.() : undefined)
      socket.uncork()
    },
    get unsentBytes() {
      return socket.writableLength
    },
    close() {
      over = true
      ended()
      socket.destroy()
    },
  }
  return { connection, received }
}

function endOf(code: string | undefined): ConnectionEnd {
  if (code === 'ECONNREFUSED') return 'refused'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'reset'
  return 'unreachable'
}

function portOf(server: Server): number {
  const at = server.address()
  return typeof at === 'object' && at !== null ? at.port : 0
}

function closeAll(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    for (const socket of sockets) socket.destroy()
  })
}
