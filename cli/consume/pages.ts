import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { topicPath, Unavailable, type BrokerHttp } from '../broker-http.ts'
import { tell } from '../output.ts'

/** How long the broker keeps a question open when it has nothing new. */
const waitMs = 30_000

/** How long a reading that has no end waits before it asks a broker again that went away. */
const againMs = 1_000

export type Reading = {
  readonly topic: string
  readonly partition: number
  readonly from: { readonly offset: number } | { readonly timestamp: number }
  /** Reading ends when it has come to this offset; undefined: it never ends, and waits for more. */
  readonly until: number | undefined
  readonly signal: AbortSignal
}

/**
 * The records of one partition: NDJSON, a page of whole lines at a time. The next page is asked for while the caller still
 * works on this one. A reading without end outlives a restart of the broker.
 */
export async function* pages(broker: BrokerHttp, reading: Reading): AsyncGenerator<Buffer> {
  const ask = (where: Reading['from']): Promise<Page> => {
    const asked =
      reading.until === undefined ? askPatiently(broker, reading, where) : askPage(broker, reading, where)
    // Heard below at the next turn; but the caller may never take one.
    asked.catch(() => {})
    return asked
  }
  let asked = ask(reading.from)
  let at = -1
  for (;;) {
    const page = await asked
    // A page that is empty and leads nowhere ends a reading that does not wait.
    const over = reading.until !== undefined && (page.next >= reading.until || page.next === at)
    at = page.next
    if (!over) asked = ask({ offset: at })
    yield page.lines
    if (over) return
  }
}

type Page = { readonly lines: Buffer; readonly next: number }

async function askPatiently(broker: BrokerHttp, reading: Reading, where: Reading['from']): Promise<Page> {
  for (let tries = 0; ; tries++) {
    try {
      return await askPage(broker, reading, where)
    } catch (error) {
      if (!(error instanceof Unavailable) || reading.signal.aborted) throw error
      if (tries === 0) tell(`stele: partition ${reading.partition}: ${error.message}; trying again`)
      await setTimeout(againMs, undefined, { signal: reading.signal })
    }
  }
}

async function askPage(broker: BrokerHttp, reading: Reading, where: Reading['from']): Promise<Page> {
  const { topic, partition, until, signal } = reading
  const request = broker.begin({
    method: 'GET',
    path: `${topicPath(topic)}/partitions/${partition}/records`,
    query: { ...where, wait_ms: until === undefined ? waitMs : 0 },
    headers: { accept: 'application/x-ndjson' },
    signal,
  })
  request.end()
  const response = await broker.answer(request)
  const next = Number(response.headers['stele-next-offset'])
  return { lines: await broker.reading(buffer(response)), next }
}
