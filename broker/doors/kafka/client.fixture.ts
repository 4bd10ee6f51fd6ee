import { connect, type Socket } from 'node:net'
import { decodeResponse, encodeRequest } from '../../../protocol/kafka/frame.ts'
import type { Api, Read, Shape, Written } from '../../../protocol/kafka/schema.ts'
import { Writer } from '../../../protocol/kafka/writer.ts'

/** A client for tests: one connection, requests in the protocol's own schemas or as bytes, answers in the order they come. */
export class TestClient {
  readonly socket: Socket
  /** Frames received and not asked for yet, without their length. */
  readonly #frames: Buffer[] = []
  readonly #asking: ((frame: Buffer | undefined) => void)[] = []
  #chunks: Buffer[] = []
  #bytes = 0
  /** Bytes up to the end of the next frame, as far as that is known. */
  #wanted = 4
  #correlationId = 0
  #ended = false
  readonly closed: Promise<void>

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#arrived(chunk))
    socket.on('error', () => {})
    this.closed = new Promise(resolve => {
      socket.on('close', () => {
        this.#ended = true
        for (const ask of this.#asking.splice(0)) ask(undefined)
        resolve()
      })
    })
  }

  static async open(port: number, host = '127.0.0.1'): Promise<TestClient> {
    const socket = connect({ port, host, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new TestClient(socket)
  }

  /** A request as it goes over the wire. */
  encode<Request extends Shape>(api: Api<Request>, version: number, body: Written<Request>): Buffer {
    const writer = new Writer()
    this.#correlationId += 1
    encodeRequest(writer, api, { version, correlationId: this.#correlationId, clientId: 'test', body })
    return writer.take()
  }

  /** Sends one request and answers its response. Requests may be under way together. */
  async ask<Request extends Shape, Response extends Shape>(
    api: Api<Request, Response>,
    version: number,
    body: Written<Request>,
  ): Promise<Read<Response>> {
    this.socket.write(this.encode(api, version, body))
    const correlationId = this.#correlationId
    const frame = await this.frame()
    if (frame === undefined) throw new Error('the connection was closed')
    const response = decodeResponse(frame, api, version)
    if (response.correlationId !== correlationId)
      throw new Error(`answer ${response.correlationId}, not ${correlationId}`)
    return response.body
  }

  /** The next frame, or undefined when the connection closed before it came. */
  frame(): Promise<Buffer | undefined> {
    const frame = this.#frames.shift()
    if (frame !== undefined || this.#ended) return Promise.resolve(frame)
    return new Promise(resolve => this.#asking.push(resolve))
  }

  close(): void {
    this.socket.destroy()
  }

  #arrived(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#wanted) return
    let rest = Buffer.concat(this.#chunks)
    for (;;) {
      this.#wanted = rest.length < 4 ? 4 : 4 + rest.readInt32BE(0)
      if (rest.length < this.#wanted) break
      this.#told(rest.subarray(4, this.#wanted))
      rest = rest.subarray(this.#wanted)
    }
    this.#chunks = [rest]
    this.#bytes = rest.length
  }

  #told(frame: Buffer): void {
    const ask = this.#asking.shift()
    if (ask === undefined) this.#frames.push(frame)
    else ask(frame)
  }
}
