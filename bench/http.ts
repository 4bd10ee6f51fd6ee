// How many records a second go in and out through the HTTP door as JSON lines, and what does a record cost the broker?
import { Agent, request } from 'node:http'
import { Readable } from 'node:stream'
import { Broker } from './broker.ts'
import { heading, median, optionsOf, shown, spread, table, type Options } from './measuring.ts'

const topic = 'lines'
const records = 200_000
const line = `${JSON.stringify({ key: 'user-17', value: 'x'.repeat(100) })}\n`
const linesPerPiece = 500
const agent = new Agent({ keepAlive: true })

type Rate = { readonly recordsPerSecond: number; readonly cpuSeconds: number }

/** Records with a key and a value of 100 B: in as one endless request, out in answers of at most 1 MiB. */
export async function httpBench({ rounds }: Pick<Options, 'rounds'>): Promise<void> {
  const broker = await Broker.start()
  const written: Rate[] = []
  const read: Rate[] = []
  try {
    await broker.createTopic(topic)
    for (let round = 0; round < rounds; round++) {
      written.push(await rated(broker, () => write(broker)))
      read.push(await rated(broker, () => readBack(broker, round * records)))
    }
  } finally {
    agent.destroy()
    await broker.stop()
  }
  heading('HTTP, JSON lines')
  table(
    ['', 'records/s', 'min-max', 'µs CPU/record'],
    [row('in, acks=all on disk', written), row('out', read)],
  )
}

function row(name: string, rates: readonly Rate[]): string[] {
  const perSecond = rates.map(({ recordsPerSecond }) => recordsPerSecond)
  const cpuSeconds = rates.map(({ cpuSeconds }) => cpuSeconds)
  return [name, shown(median(perSecond)), spread(perSecond), shown((median(cpuSeconds) / records) * 1e6)]
}

async function rated(broker: Broker, act: () => Promise<void>): Promise<Rate> {
  const cpuBefore = broker.cpuSeconds()
  const startMs = performance.now()
  await act()
  const seconds = (performance.now() - startMs) / 1000
  return { recordsPerSecond: records / seconds, cpuSeconds: broker.cpuSeconds() - cpuBefore }
}

async function write(broker: Broker): Promise<void> {
  const results = countingLines()
  const url = `${broker.http}/v1/topics/${topic}/records`
  const headers = { 'content-type': 'application/x-ndjson' }
  await new Promise<void>((resolve, reject) => {
    const sending = request(url, { method: 'POST', agent, headers }, answer => {
      answer.on('data', results.take)
      answer.once('end', resolve)
    })
    sending.once('error', reject)
    Readable.from(pieces()).pipe(sending)
  })
  if (results.lines !== records) throw new Error(`${results.lines} results for ${records} records`)
}

function* pieces(): Generator<Buffer> {
  const piece = Buffer.from(line.repeat(linesPerPiece))
  for (let sent = 0; sent < records; sent += linesPerPiece) yield piece
}

async function readBack(broker: Broker, from: number): Promise<void> {
  const out = countingLines()
  for (let offset = from; offset < from + records;) {
    const url = `${broker.http}/v1/topics/${topic}/partitions/0/records?offset=${offset}`
    offset = await new Promise<number>((resolve, reject) => {
      const headers = { accept: 'application/x-ndjson' }
      const asking = request(url, { agent, headers }, answer => {
        answer.on('data', out.take)
        answer.once('end', () => resolve(Number(answer.headers['stele-next-offset'])))
      })
      asking.once('error', reject)
      asking.end()
    })
  }
  if (out.lines !== records) throw new Error(`${out.lines} of ${records} records were read back`)
}

function countingLines(): { lines: number; take(this: void, chunk: Buffer): void } {
  const counted = {
    lines: 0,
    take: (chunk: Buffer): void => {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) counted.lines += 1
    },
  }
  return counted
}

if (import.meta.main) await httpBench(optionsOf())
