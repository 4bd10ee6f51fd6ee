import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'

// What a sound broker does not do, or not when a test wants it. The client commands run as users run them.
const command = new URL('../bin/stele.mjs', import.meta.url).pathname

let door: Server | undefined
afterEach(() => {
  if (door instanceof http.Server) door.closeAllConnections()
  door?.close()
})

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown

/** Answers HTTP with `answer` on a free port; its URL. */
const open = (answer: Answer): Promise<string> =>
  listen(http.createServer((request, response) => void answer(request, response)))

async function listen(server: Server): Promise<string> {
  door = server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const start = (server: string, ...words: readonly string[]) =>
  spawn(process.execPath, [command, ...words, '--server', server], { stdio: 'pipe' })

async function ended(child: ReturnType<typeof start>) {
  child.stdin.on('error', () => {})
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, out, err }
}

function run(server: string, words: readonly string[], input = '') {
  const child = start(server, ...words)
  child.stdin.end(input)
  return ended(child)
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const refusal = (code: string) => ({ error: { code, message: 'no', todo: 'Do it.', retriable: false } })
const result = '{"partition":0,"offset":0}\n'

describe('produce', () => {
  test('stops when the broker refuses all, though the input goes on', async () => {
    const child = start(
      await open((_, response) => json(response, 404, refusal('UNKNOWN_TOPIC_OR_PARTITION'))),
      'produce',
      'x',
    )
    child.stdin.write('a\n')
    expect(await ended(child)).toEqual({
      code: 1,
      out: '',
      err: 'stele: no (UNKNOWN_TOPIC_OR_PARTITION)\n       Do it.\n',
    })
  })

  test('says how much was written when the connection breaks', async () => {
    const url = await open((_, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' })
      response.write(result + result, () => response.destroy())
    })
    const { code, err } = await run(url, ['produce', 'x'], 'a\nb\nc\n')
    expect(code).toBe(1)
    expect(err).toMatch(/^2 records written, .*\nstele: the broker at .* broke the connection\n/)
  })

  test('misses answers that do not come', async () => {
    const url = await open(async (request, response) => {
      await text(request)
      response.end(result + result)
    })
    const { code, err } = await run(url, ['produce', 'x'], 'a\nb\nc\n')
    expect(code).toBe(1)
    expect(err).toContain('stele: the broker answered 2 of 3 records\n')
  })

  test('tells twenty refused records and counts the rest', async () => {
    const url = await open(async (request, response) => {
      await text(request)
      response.end(`${JSON.stringify(refusal('MESSAGE_TOO_LARGE'))}\n`.repeat(30))
    })
    const { code, err } = await run(url, ['produce', 'x'], 'a\n'.repeat(30))
    expect(code).toBe(1)
    expect(err.match(/^stele: line \d+: no \(MESSAGE_TOO_LARGE\)$/gm)).toHaveLength(20)
    expect(err).toContain('further refusals are counted only\n')
    expect(err).toContain('stele: 30 records of 30 refused\n')
  })

  test('sends while it reads: each answer comes before the next line is given', async () => {
    const url = await open((request, response) => {
      request.on('data', () => response.write(result))
      request.on('end', () => response.end())
    })
    const child = start(url, 'produce', 'x', '--json')
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    for (const line of ['a\n', 'b\n', 'c\n']) {
      child.stdin.write(line)
      expect((await answers.next()).value).toBe(result.trim())
    }
    child.stdin.end()
    expect(await once(child, 'close')).toEqual([0, null])
  })
})

const description = (highWatermark: number, partitions = 1) => ({
  name: 'x',
  partitions: Array.from({ length: partitions }, (_, partition) => ({
    partition,
    log_start_offset: 0,
    high_watermark: highWatermark,
  })),
})
const record = `${JSON.stringify({ partition: 0, offset: 0, key: null, value: 'v', encoding: 'text' })}\n`
const page = (response: ServerResponse, next: number, lines: string) =>
  response.writeHead(200, { 'stele-next-offset': next }).end(lines)
const isPage = (request: IncomingMessage) => request.url?.includes('/records?') === true

async function interrupt(child: ChildProcess): Promise<number | null> {
  const closed = once(child, 'close') as Promise<[number | null]>
  child.kill('SIGINT')
  return (await closed)[0]
}

describe('consume', () => {
  test('does not go round in circles when nothing more comes', async () => {
    let asked = 0
    const url = await open((request, response) => {
      if (!isPage(request)) return json(response, 200, description(5))
      asked += 1
      return page(response, 1, asked === 1 ? record : '')
    })
    expect(await run(url, ['consume', 'x'])).toEqual({ code: 0, out: 'v\n', err: '' })
  })

  test('fails when the broker is not ready', async () => {
    const url = await open((request, response) =>
      isPage(request) ? json(response, 503, refusal('BROKER_STOPPING')) : json(response, 200, description(5)),
    )
    expect(await run(url, ['consume', 'x'])).toMatchObject({ code: 1, out: '' })
  })

  test('waits for the broker when it follows', async () => {
    let asked = 0
    const url = await open((request, response) => {
      if (!isPage(request)) return json(response, 200, description(0))
      asked += 1
      if (asked === 1) return json(response, 503, refusal('BROKER_STOPPING'))
      if (asked === 2) return response.destroy()
      return asked === 3 ? page(response, 1, record) : undefined
    })
    const child = start(url, 'consume', 'x', '--follow')
    const told = text(child.stderr)
    expect(String((await once(child.stdout, 'data'))[0])).toBe('v\n')
    expect(await interrupt(child)).toBe(0)
    expect(await told).toBe('stele: partition 0: no (BROKER_STOPPING); trying again\n')
  })

  test('follows all partitions at once, and ends when it has enough', async () => {
    const url = await open((request, response) => {
      if (!isPage(request)) return json(response, 200, description(0, 3))
      // Partition 1 has nothing, ever.
      return request.url?.includes('/1/') === true ? undefined : page(response, 2, record + record)
    })
    expect(await run(url, ['consume', 'x', '--follow', '-n', '3'])).toEqual({
      code: 0,
      out: 'v\nv\nv\n',
      err: '',
    })
  })
})

describe('what is no broker', () => {
  test('is called so, whatever it says', async () => {
    const web = await open((_, response) => response.writeHead(404).end('<h1>Not here</h1>'))
    const { code, err } = await run(web, ['topic', 'list'])
    expect(code).toBe(1)
    expect(err).toBe(
      `stele: what answers at ${web}/ is not the HTTP door of a Stele broker (status 404)\n       Check --server or STELE_SERVER.\n`,
    )
    door?.close()
    const web2 = await open((_, response) => response.end('<h1>Welcome</h1>'))
    expect((await run(web2, ['topic', 'list'])).err).toContain('is not the HTTP door')
    door?.close()
    const mail = await listen(createServer(socket => socket.end('220 mail ready\r\n')))
    expect((await run(mail, ['consume', 'x'])).err).toContain('is not the HTTP door')
  })

  test.each([[['topic', 'list']], [['produce', 'x']], [['consume', 'x', '--follow']]])(
    'is missed by %j',
    async words => {
      expect(await run('http://127.0.0.1:1', words, 'x')).toEqual({
        code: 1,
        out: '',
        err: 'stele: no broker answers at http://127.0.0.1:1: start one with `stele start` or say --server URL\n',
      })
    },
  )
})
