import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { pino } from 'pino'
import type { RefusalCode } from '../../../base/refusals.ts'
import { startBroker } from '../../main.ts'

export type Asked = {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer | object
}

export type Got = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The parsed body; an empty object when it is no JSON. */
  readonly json: Json
}

export type ErrorJson = {
  readonly code: RefusalCode
  readonly message: string
  readonly todo: string
  readonly retriable: boolean
}

export type RecordJson = {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: [string, string | null][]
  readonly encoding: string
}

/** What the answers of the tests' requests may hold. */
export type Json = {
  readonly error?: ErrorJson
  readonly results?: { partition?: number; offset?: number; timestamp?: number; error?: ErrorJson }[]
  readonly records?: RecordJson[]
  readonly next_offset?: number
  readonly high_watermark?: number
  readonly log_start_offset?: number
  readonly [name: string]: unknown
}

/** A real broker on a directory of its own, asked over real HTTP. */
export class HttpBroker {
  readonly host: string
  readonly port: number
  /** Bootstrap address for Kafka clients. */
  readonly kafka: string
  readonly #stop: () => Promise<void>
  readonly directory: string
  #stopped: Promise<void> | undefined

  private constructor(http: string, kafka: string, directory: string, stop: () => Promise<void>) {
    const [host = '', port = ''] = http.split(':')
    this.host = host
    this.port = Number(port)
    this.kafka = kafka
    this.directory = directory
    this.#stop = stop
  }

  static async start(settings: Record<string, string> = {}): Promise<HttpBroker> {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'stele-http-door-'))
    const broker = await startBroker({
      dataDirectory,
      kafka: '127.0.0.1:0',
      http: '127.0.0.1:0',
      settings,
      log: pino({ level: 'silent' }),
      version: '9.8.7',
    })
    return new HttpBroker(broker.http[0] ?? '', broker.kafka[0] ?? '', dataDirectory, () => broker.stop())
  }

  get url(): string {
    return `http://${this.host}:${this.port}`
  }

  async ask(path: string, { method, headers = {}, body }: Asked = {}): Promise<Got> {
    const bytes =
      body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    const response = await fetch(this.url + path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { 'content-type': 'application/json', ...headers },
      ...(bytes === undefined ? {} : { body: bytes }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson ? (JSON.parse(text) as Json) : {},
    }
  }

  /** Writes records and answers their results. */
  async write(topic: string, ...records: object[]): Promise<NonNullable<Json['results']>> {
    const { json, text } = await this.ask(`/v1/topics/${topic}/records`, { body: { records } })
    if (json.results === undefined || json.error !== undefined) throw new Error(text)
    return json.results
  }

  async read(topic: string, partition: number, query = ''): Promise<RecordJson[]> {
    const { json, text } = await this.ask(`/v1/topics/${topic}/partitions/${partition}/records?${query}`)
    if (json.records === undefined) throw new Error(text)
    return json.records
  }

  async makeTopic(name: string, partitions = 1, config: Record<string, string> = {}): Promise<void> {
    const { status, text } = await this.ask('/v1/topics', { body: { name, partitions, config } })
    if (status !== 201) throw new Error(text)
  }

  /** A connection without a client: for what no client would send. */
  async connect(): Promise<Socket> {
    const socket = connect(this.port, this.host)
    await once(socket, 'connect')
    return socket
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop().finally(() => rmSync(this.directory, { recursive: true }))
    return this.#stopped
  }
}

/** All that comes over `socket` until it ends. */
export async function received(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

/** Resolves when `text` has come over `socket`, with everything until then. */
export function receivedUntil(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let all = ''
    const look = (chunk: Buffer): void => {
      all += String(chunk)
      if (!all.includes(text)) return
      socket.off('data', look)
      resolve(all)
    }
    socket.on('data', look)
    socket.once('close', () => reject(new Error(`the connection ended behind ${JSON.stringify(all)}`)))
  })
}

/** Waits for a condition that nobody announces. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setImmediate(resolve))
}
