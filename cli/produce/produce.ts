import { fstatSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { BrokerHttp, topicPath, type ErrorBody } from '../broker-http.ts'
import { Failure, usageFailure } from '../failure.ts'
import { count, plural } from '../format.ts'
import { tell, write } from '../output.ts'
import { encoder, type Shape } from './encode.ts'
import { wholeLines } from './lines.ts'
import { progressLine, summary, type Progress } from './progress.ts'
import { Results } from './results.ts'

type Options = Shape & { readonly server: URL; readonly acks: string; readonly json?: true }

/** So many refused records are told one by one; of the rest, how many there were. */
const refusalsToldMax = 20
const progressEveryMs = 200

/**
 * Sends standard input as one NDJSON request and reads the answers while it still sends. Neither a slow broker nor a slow
 * reader of --json makes memory grow: each side waits for the other.
 */
export async function produce(topic: string, options: Options): Promise<void> {
  if (process.stdin.isTTY) tell('a record a line; Ctrl-D ends')
  const startMs = performance.now()
  const bytesTotal = bytesOfInput()
  const sent = { bytes: 0, lines: 0 }
  const results = new Results(tellRefusal)
  const progress = (): Progress => ({
    records: results.written,
    bytes: sent.bytes,
    bytesTotal,
    elapsedMs: performance.now() - startMs,
  })
  const stopShowing = show(progress)
  process.once('SIGINT', () => {
    stopShowing()
    tell(`interrupted: ${summary(progress(), results.refused)}`)
    process.exit(130)
  })

  let failure: unknown
  try {
    await exchange(topic, options, sent, results)
  } catch (error) {
    failure = error
  }
  stopShowing()
  if (failure === undefined || results.answered > 0) tell(summary(progress(), results.refused))
  if (failure !== undefined) throw failure
  if (results.refused > 0)
    throw new Failure(`${plural(results.refused, 'record')} of ${count(sent.lines)} refused`)
  if (results.answered < sent.lines) {
    throw new Failure(
      `the broker answered ${count(results.answered)} of ${count(sent.lines)} records`,
      'The others may or may not be written.',
    )
  }
}

/** Streams input out and results in, until both have ended. Throws what the broker says before what went wrong here. */
async function exchange(
  topic: string,
  options: Options,
  sent: { bytes: number; lines: number },
  results: Results,
): Promise<void> {
  const broker = new BrokerHttp(options.server)
  const stop = new AbortController()
  const request = broker.begin({
    method: 'POST',
    path: `${topicPath(topic)}/records`,
    query: { acks: options.acks },
    headers: { 'content-type': 'application/x-ndjson', accept: 'application/x-ndjson' },
  })
  const encode = encoder(options)
  let inputFailure: unknown
  const sending = pipeline(
    process.stdin,
    wholeLines,
    async function* (blocks: AsyncIterable<Buffer>) {
      try {
        for await (const block of blocks) {
          const { ndjson, lines } = encode(block)
          sent.bytes += block.length
          sent.lines += lines
          yield ndjson
        }
      } catch (error) {
        // Input that cannot be read ends the request in order: what was sent before is written and counted.
        inputFailure = error
      }
    },
    request,
    { signal: stop.signal },
  )
  const receiving = broker
    .answer(request)
    .then(response => broker.reading(receive(response, results, options.json ?? false)))
    .finally(() => stop.abort())
  const [sendingEnd, receivingEnd] = await Promise.allSettled([sending, receiving])
  broker.close()
  if (receivingEnd.status === 'rejected') throw receivingEnd.reason
  if (inputFailure !== undefined) throw inputFailure
  // Aborted means that the broker ended its answer early: the count of answers tells.
  if (sendingEnd.status === 'rejected' && !stop.signal.aborted) throw sendingEnd.reason
}

async function receive(response: IncomingMessage, results: Results, json: boolean): Promise<void> {
  for await (const block of wholeLines(response)) {
    results.take(block)
    if (json) await write(block)
  }
}

let refusalsTold = 0
function tellRefusal(line: number, error: ErrorBody): void {
  refusalsTold += 1
  if (refusalsTold <= refusalsToldMax) tell(`stele: line ${line}: ${error.message} (${error.code})`)
  if (refusalsTold === refusalsToldMax) tell('stele: further refusals are counted only')
}

/** Redraws the progress on a terminal; answers how to end that and wipe it away. */
function show(progress: () => Progress): () => void {
  if (!process.stderr.isTTY || process.stdin.isTTY) return () => {}
  const timer = setInterval(() => {
    // Some terminals do not know how wide they are.
    const columns = process.stderr.columns || 80
    process.stderr.write(`\r\u001B[K${progressLine(progress(), columns - 1)}`)
  }, progressEveryMs)
  return () => {
    clearInterval(timer)
    process.stderr.write('\r\u001B[K')
  }
}

/** The size of standard input when it is a file. */
function bytesOfInput(): number | undefined {
  const stat = fstatSync(0)
  if (stat.isDirectory()) throw usageFailure('standard input is a directory')
  return stat.isFile() ? stat.size : undefined
}
