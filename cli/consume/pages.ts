import { buffer } from 'node:stream/consumers'
import { topicPath, type BrokerHttp } from '../broker-http.ts'

/** How long the broker keeps a question open when it has nothing new. */
const waitMs = 30_000

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
 * works on this one.
 */
export async function* pages(broker: BrokerHttp, reading: Reading): AsyncGenerator<Buffer> {
  let asked = askPage(broker, reading, reading.from)
  let at = -1
  for (;;) {
    const page = await asked
    // A page that is empty and leads nowhere ends a reading that does not wait.
    const over = reading.until !== undefined && (page.next >= reading.until || page.next === at)
    at = page.next
    if (!over) {
      asked = askPage(broker, reading, { offset: at })
      // Heard above at the next turn; but the caller may never take one.
      asked.catch(() => {})
    }
    yield page.lines
    if (over) return
  }
}

async function askPage(broker: BrokerHttp, reading: Reading, where: Reading['from']) {
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
