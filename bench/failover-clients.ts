// Producers with default settings whose pauses are measured: librdkafka, kafkajs, and one that asks any broker over HTTP.
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { Acknowledgements } from './acknowledgements.ts'

/** A producer that has no acknowledgement for so long has lost its way. */
const limitMs = 60_000

export type Client = {
  /** It never waits for an answer of the old leader. */
  readonly asksAnew: boolean
  pauseSince(sinceMs: number): Promise<number>
  /** Begins anew, and has had its first acknowledgement when this resolves. */
  renew?(): Promise<void>
  stop(): void
}

type Cluster = { readonly kafka: string; readonly topic: string }

export function kafkajs({ kafka, topic }: Cluster): Client {
  const child = fork(join(import.meta.dirname, 'acknowledged-process.ts'), [kafka, topic])
  return {
    asksAnew: false,
    async pauseSince(sinceMs) {
      for (const endMs = Date.now() + limitMs; Date.now() < endMs; await passed(10)) {
        const { pauseMs, errors } = await asked<{ pauseMs: number | null; errors: number }>(child, sinceMs)
        if (errors > 0) throw new Error('a producer was told an error')
        if (pauseMs !== null) return pauseMs
      }
      throw new Error('kafkajs has no acknowledgement any more')
    },
    stop: () => child.disconnect(),
  }
}

/**
 * With `anew` another one for each kill: librdkafka waits up to 10 s before it connects again to a broker that was away, and the one that leads next may
 * have been killed a few seconds ago.
 */
export function librdkafka({ kafka, topic, anew }: Cluster & { readonly anew: boolean }): Client {
  const acknowledged = new Acknowledgements()
  let failed = 0
  let stop = (): void => undefined
  const start = (): void => {
    const child = spawn('kcat', ['-b', kafka, '-P', '-E', '-t', topic, '-vvv'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    const end = (): void => void child.kill('SIGKILL')
    process.once('exit', end)
    child.stdin.on('error', () => undefined)
    child.stderr.on('data', (chunk: Buffer) => {
      const text = chunk.toString()
      for (let n = text.split('Message delivered to').length; n > 1; n--) acknowledged.note()
      if (text.includes('Delivery failed')) failed++
    })
    // It reads 1,024 bytes at a time, and reports what was acknowledged when it has read some.
    const feed = setInterval(() => child.stdin.write(`${'x'.repeat(1_023)}\n`), 5)
    stop = () => {
      clearInterval(feed)
      process.off('exit', end)
      end()
    }
  }
  const pauseSince = async (sinceMs: number): Promise<number> => {
    for (const endMs = Date.now() + limitMs; Date.now() < endMs; await passed(10)) {
      if (failed > 0) throw new Error('a producer was told an error')
      const pauseMs = acknowledged.pauseSince(sinceMs)
      if (pauseMs !== undefined) return pauseMs
    }
    throw new Error('librdkafka has no acknowledgement any more')
  }
  start()
  return {
    asksAnew: false,
    pauseSince,
    async renew() {
      if (anew) {
        stop()
        start()
      }
      await pauseSince(Date.now())
    },
    stop: () => stop(),
  }
}

/** Asks one broker after the other, each time anew: what it waits for is the cluster alone, not an answer that it was to get from the old leader. */
export function overHttp({
  http,
  topic,
}: {
  readonly http: readonly string[]
  readonly topic: string
}): Client {
  const acknowledged = new Acknowledgements()
  const running = { on: true }
  const send = async (): Promise<void> => {
    for (let n = 0; running.on; n++) {
      const place = http[n % http.length]
      const signal = AbortSignal.timeout(250)
      const body = 'x'.repeat(100)
      const answer = await fetch(`${place}/append?topic=${topic}`, { method: 'POST', body, signal }).catch(
        () => undefined,
      )
      if (answer?.ok === true) acknowledged.note()
      else await passed(20)
      await answer?.arrayBuffer().catch(() => undefined)
    }
  }
  void send()
  return {
    asksAnew: true,
    async pauseSince(sinceMs) {
      for (const endMs = Date.now() + limitMs; Date.now() < endMs; await passed(10)) {
        const pauseMs = acknowledged.pauseSince(sinceMs)
        if (pauseMs !== undefined) return pauseMs
      }
      throw new Error('nobody takes records over HTTP any more')
    },
    stop: () => void (running.on = false),
  }
}

export function asked<T>(child: ChildProcess, what: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('a process of the bench has ended'))
    child.once('exit', ended)
    child.once('message', answer => {
      child.off('exit', ended)
      resolve(answer as T)
    })
    child.send(what)
  })
}
