/** Any broker of a cluster answers any request, whoever leads what it is about. */
import { once } from 'node:events'
import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestCluster } from '../cluster.fixture.ts'
import { forwardedHeader } from './peers.ts'

let cluster: TestCluster
beforeAll(async () => {
  cluster = await TestCluster.start(3)
  await cluster.makeTopic('t', [[0], [1], [2]])
}, 60_000)
afterAll(() => cluster.stop())

type Json = Readonly<Record<string, unknown>>

async function ask(broker: number, path: string, init: RequestInit = {}) {
  const response = await fetch(cluster.broker(broker).http + path, init)
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  return { response, text, json: (isJson ? JSON.parse(text) : {}) as Json }
}

const post = (broker: number, path: string, body: unknown) =>
  ask(broker, path, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })

const recordsIn = async (broker: number, partition: number): Promise<string[]> => {
  const { json } = await ask(broker, `/v1/topics/t/partitions/${partition}/records`)
  return (json['records'] as { value: string }[]).map(({ value }) => value)
}

test('records of one request go to the leaders of their partitions, in order', async () => {
  const records = [0, 1, 2, 0, 1, 2].map((partition, n) => ({ partition, value: `v${n}` }))
  const { response, json } = await post(1, '/v1/topics/t/records', { records })
  expect(response.status).toBe(200)
  expect(json['results']).toMatchObject([
    { partition: 0, offset: 0 },
    { partition: 1, offset: 0 },
    { partition: 2, offset: 0 },
    { partition: 0, offset: 1 },
    { partition: 1, offset: 1 },
    { partition: 2, offset: 1 },
  ])
  for (const broker of [0, 1, 2]) {
    for (const partition of [0, 1, 2])
      expect(await recordsIn(broker, partition)).toEqual([`v${partition}`, `v${partition + 3}`])
  }
})

test('lines too, and each partition keeps their order', async () => {
  await cluster.makeTopic('lines', [[0], [1], [2]])
  const lines = Array.from({ length: 3_000 }, (_, n) =>
    JSON.stringify({ partition: n % 3, value: String(n) }),
  )
  const { text } = await ask(0, '/v1/topics/lines/records', {
    method: 'POST',
    body: lines.join('\n'),
    headers: { 'content-type': 'application/x-ndjson' },
  })
  const results = text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { offset: number })
  expect(results.map(({ offset }) => offset)).toEqual(lines.map((_, n) => Math.floor(n / 3)))
})

test('what a leader refuses is refused as it says it', async () => {
  const value = 'x'.repeat(2_000_000)
  for (const partition of [0, 1]) {
    const { json } = await post(0, '/v1/topics/t/records', { partition, value })
    expect(json['error']).toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
  }
})

test('the short ways lead there too', async () => {
  await cluster.makeTopic('short', [[2]])
  const appended = await ask(0, '/append?topic=short', { method: 'POST', body: 'hello' })
  expect(appended.json).toMatchObject({ partition: 0, offset: 0 })
  const read = await ask(1, '/read?topic=short')
  expect(read.text.trim()).toBe('hello')
  expect(read.response.headers.get('stele-next-offset')).toBe('1')
})

test('a request that waits is answered when its leader has something, and ends there when its client goes', async () => {
  await cluster.makeTopic('waited', [[1]])
  const waiting = ask(0, '/v1/topics/waited/partitions/0/records?wait_ms=60000')
  await post(2, '/v1/topics/waited/records', { value: 'now' })
  expect((await waiting).json['records']).toMatchObject([{ value: 'now' }])
})

test('a stream of events comes through another broker', async () => {
  await cluster.makeTopic('streamed', [[2]])
  const stop = new AbortController()
  const response = await fetch(`${cluster.broker(0).http}/v1/topics/streamed/partitions/0/stream`, {
    signal: stop.signal,
  })
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const reader = response.body?.getReader()
  for (const value of ['a', 'b']) {
    await post(1, '/v1/topics/streamed/records', { value })
    const piece = await reader?.read()
    expect(new TextDecoder().decode(piece?.value)).toContain(`"value":"${value}"`)
  }
  stop.abort()
})

test('a topic is described with what each leader knows of it', async () => {
  for (const broker of [0, 1, 2]) {
    const { json } = await ask(broker, '/v1/topics/t')
    expect(json['partitions']).toMatchObject([0, 1, 2].map(n => ({ leader: n, high_watermark: 2 })))
  }
})

test('groups are found wherever they are coordinated, and how far they are behind', async () => {
  const names = Array.from({ length: 8 }, (_, n) => `group-${n}`)
  for (const [n, name] of names.entries()) {
    const body = { topic: 't', offset: n % 2 === 0 ? 'earliest' : '1' }
    let answer = await post(n % 3, `/v1/groups/${name}/offsets`, body)
    // The topic of groups has just been made, and is being read.
    while (answer.response.status === 503) answer = await post(n % 3, `/v1/groups/${name}/offsets`, body)
    expect(answer.response.status, answer.text).toBe(200)
  }
  for (const broker of [0, 1, 2]) {
    const { json } = await ask(broker, '/v1/groups')
    const groups = json['groups'] as { group: string; lag: number }[]
    expect(groups.map(({ group }) => group).sort()).toEqual(names)
    expect(groups.map(({ lag }) => lag).toSorted((a, b) => a - b)).toEqual([3, 3, 3, 3, 6, 6, 6, 6])
    const described = await ask(broker, '/v1/groups/group-1')
    expect(described.json['offsets']).toMatchObject([0, 1, 2].map(() => ({ committed_offset: 1, lag: 1 })))
  }
  expect((await ask(0, '/v1/groups/group-1', { method: 'DELETE' })).response.status).toBe(204)
  expect((await ask(1, '/v1/groups/group-1')).response.status).toBe(404)
})

test('a queue hands out what every broker leads, whoever is asked', async () => {
  await cluster.makeTopic('work', [[0], [1], [2]])
  const records = Array.from({ length: 30 }, (_, n) => ({ partition: n % 3, value: `w${n}` }))
  await post(0, '/v1/topics/work/records', { records })
  const made = await post(1, '/v1/groups/workers/consumers', { topics: ['work'] })
  expect(made.response.status, made.text).toBe(201)
  const at = made.response.headers.get('location') ?? ''
  const taken: string[] = []
  const take = async (broker: number): Promise<void> => {
    const { json, text } = await post(broker, `${at}/receive`, { max_records: 7, wait_ms: 10_000 })
    const got = json['records'] as { value: string; receipt: string }[] | undefined
    if (got === undefined || got.length === 0) throw new Error(text)
    taken.push(...got.map(({ value }) => value))
    const receipts = got.map(({ receipt }) => receipt)
    expect((await post(broker, `${at}/acknowledge`, { receipts })).response.status).toBe(200)
  }
  for (let n = 0; taken.length < 30; n++) await take(n % 3)
  expect(taken.toSorted()).toEqual(records.map(({ value }) => value).toSorted())
  // One that comes while somebody waits, from each leader.
  for (const partition of [0, 1, 2]) {
    const taking = take(0)
    await post(0, '/v1/topics/work/records', { partition, value: `late ${partition}` })
    await taking
    expect(taken.at(-1)).toBe(`late ${partition}`)
  }
  const described = await ask(0, '/v1/groups/workers')
  expect(described.json['offsets']).toMatchObject([0, 1, 2].map(() => ({ committed_offset: 11, lag: 0 })))
  expect((await ask(0, at, { method: 'DELETE' })).response.status).toBe(204)
})

test('a batch larger than what a queue reads at once is handed out too', async () => {
  await cluster.makeTopic('large', [[0], [1], [2]])
  const value = 'x'.repeat(300_000)
  const records = [0, 1, 2, 0, 1, 2].map(partition => ({ partition, value }))
  await post(0, '/v1/topics/large/records', { records })
  const made = await post(1, '/v1/groups/lifters/consumers', { topics: ['large'] })
  const at = made.response.headers.get('location') ?? ''
  for (let taken = 0; taken < 6; taken++) {
    const { json } = await post(0, `${at}/receive`, { max_records: 1, wait_ms: 10_000 })
    expect(json['records']).toMatchObject([{ value }])
  }
})

test('what brokers read of each other is not told to clients', async () => {
  const path = '/v1/batches?topic=t&topic_id=x&partition=0&offset=0&max_bytes=100'
  expect((await ask(0, path)).response.status).toBe(400)
  expect((await post(0, '/v1/news', { waitMs: 0, tablets: [] })).response.status).toBe(400)
  const asked = { method: 'POST', headers: { [forwardedHeader]: '1' }, body: '{"waitMs":0}' }
  expect((await ask(0, '/v1/news', asked)).json['error']).toMatchObject({ code: 'INVALID_REQUEST' })
  const other = await ask(0, path, { headers: { [forwardedHeader]: '1' } })
  expect(other.response.headers.get('stele-ends')).toBe('null')
})

test('a request is sent on once: who is wrong about the leader says to wait', async () => {
  const { response, json } = await ask(0, '/v1/topics/t/partitions/1/records', {
    headers: { [forwardedHeader]: '2' },
  })
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  expect(json['error']).toMatchObject({ code: 'LEADER_NOT_AVAILABLE', retriable: true })
})

test('batches are taken from brokers alone, and only whole ones', async () => {
  const path = '/v1/topics/t/partitions/0/batches'
  expect((await ask(0, path, { method: 'POST', body: 'x' })).response.status).toBe(400)
  const wrong = await ask(0, path, { method: 'POST', body: 'x', headers: { [forwardedHeader]: '1' } })
  expect(wrong.json['error']).toMatchObject({ code: 'INVALID_REQUEST' })
})

test('a body that comes in pieces is not changed on its way', async () => {
  const { port } = new URL(cluster.broker(0).http)
  for (let n = 0; n < 8; n++) {
    const sending = request({ port, method: 'POST', path: `/v1/groups/pieces-${n}/offsets` })
    const answered = once(sending, 'response')
    sending.write('{"topic":')
    for (let piece = 0; piece < 20; piece++) sending.write(' '.repeat(10_000))
    sending.end('"t","offset":1,"dry_run":true}')
    const [answer] = (await answered) as [{ statusCode: number; resume(): void }]
    expect(answer.statusCode).toBe(200)
    answer.resume()
  }
})

test('who leads and who holds a partition is changed with words for each', async () => {
  await cluster.makeTopic('placed', [
    [0, 1],
    [1, 0],
  ])
  const elected = await post(2, '/v1/topics/placed/elections', {})
  expect(elected.json['elections']).toEqual([
    { partition: 0, leader: 0, elected: false },
    { partition: 1, leader: 1, elected: false },
  ])
  const unclean = await post(2, '/v1/topics/placed/elections', { partitions: [1], unclean: true })
  expect(unclean.json['elections']).toEqual([{ partition: 1, leader: 1, elected: false }])
  const moves = [
    { partition: 0, replicas: [0, 2] },
    { partition: 1, replicas: [7] },
  ]
  expect((await post(2, '/v1/topics/placed/moves', { moves })).json['moves']).toEqual([
    { partition: 0, replicas: [0, 2], adding: [2], removing: [1] },
    {
      partition: 1,
      replicas: [1, 0],
      error: expect.objectContaining({
        code: 'INVALID_REPLICA_ASSIGNMENT',
        message: expect.stringMatching(/broker 7/),
      }),
    },
  ])
  const { json } = await ask(0, '/v1/topics/placed')
  expect(json['partitions']).toMatchObject([{ adding: [2], removing: [1] }, {}])
  const back = await post(2, '/v1/topics/placed/moves', { moves: [{ partition: 0, replicas: null }] })
  expect(back.json['moves']).toMatchObject([{ partition: 0, replicas: [0, 1], removing: [2] }])
  for (const [path, body, text] of [
    ['elections', { partitions: [2] }, /no partition 2 of placed: it has 0 to 1/],
    ['elections', { partitions: [] }, /partitions must be/],
    ['elections', { partitions: [0, 0] }, /twice/],
    ['elections', { unclean: 1 }, /unclean must be true or false/],
    ['elections', { timeout_ms: 1e9 }, /timeout_ms must be a whole number from 0 to 60000/],
    ['moves', {}, /moves must be an array/],
    ['moves', { moves: [{ partition: 0 }] }, /replicas of a move must be/],
    ['moves', { moves: [{ partition: 0, replicas: ['1'] }] }, /a broker must be a whole number/],
    ['moves', { moves: [{ partition: 0, replicas: null, to: 1 }] }, /"to" is no field/],
    ['moves', { moves: [moves[0], moves[0]] }, /twice/],
  ] as const)
    expect((await post(0, `/v1/topics/placed/${path}`, body)).json['error']).toMatchObject({
      message: expect.stringMatching(text),
    })
})

test('what is led by a broker that is gone answers 503, and says when to come again', async () => {
  await cluster.makeTopic('gone', [[2]])
  await cluster.broker(2).running.stop()
  const read = await ask(0, '/v1/topics/gone/partitions/0/records')
  expect(read.response.status).toBe(503)
  expect(read.response.headers.get('retry-after')).toBe('1')
  expect(read.json['error']).toMatchObject({ code: 'LEADER_NOT_AVAILABLE' })
  const written = await post(0, '/v1/topics/gone/records', { value: 'a' })
  expect(written.response.status).toBe(503)
  // And it serves again when it is back.
  cluster.brokers[2] = await cluster.startBroker(2)
  expect((await post(0, '/v1/topics/gone/records', { value: 'a' })).response.status).toBe(200)
})

test('a queue says that a leader is gone, and hands out what it leads when it is back', async () => {
  await cluster.makeTopic('back', [[2]])
  await post(0, '/v1/topics/back/records', { value: 'a' })
  const isHere = async (group: string): Promise<boolean> =>
    (await ask(0, `/v1/groups/${group}`, { headers: { [forwardedHeader]: '1' } })).response.status !== 503
  let group = 'g0'
  for (let n = 1; !(await isHere(group)); n++) group = `g${n}`
  const made = await post(0, `/v1/groups/${group}/consumers`, { topics: ['back'] })
  const at = made.response.headers.get('location') ?? ''
  const receive = () => post(0, `${at}/receive`, { wait_ms: 10_000 })
  expect((await receive()).json['records']).toMatchObject([{ value: 'a' }])
  await cluster.broker(2).running.stop()
  const nothing = await post(0, `${at}/receive`, { wait_ms: 100 })
  expect(nothing.response.status).toBe(503)
  expect(nothing.json['error']).toMatchObject({ code: 'LEADER_NOT_AVAILABLE' })
  const waiting = receive()
  cluster.brokers[2] = await cluster.startBroker(2)
  expect((await post(2, '/v1/topics/back/records', { value: 'b' })).response.status).toBe(200)
  expect((await waiting).json['records']).toMatchObject([{ value: 'b' }])
})

test('who stops answers on until nobody is sent there any more', async () => {
  await cluster.broker(2).running.stop()
  const noticeMs = 2_000
  cluster.brokers[2] = await cluster.startBroker(2, {}, noticeMs)
  const { running } = cluster.broker(2)
  const beganMs = performance.now()
  const stopped = running.stop()
  expect((await ask(2, '/readyz')).response.status).toBe(503)
  let lastMs = 0
  for (let answers = true; answers;) {
    answers = await ask(2, '/livez').then(
      ({ response }) => response.status === 200,
      () => false,
    )
    if (answers) lastMs = performance.now()
  }
  await stopped
  expect(lastMs - beganMs).toBeGreaterThan(noticeMs / 2)
  cluster.brokers[2] = await cluster.startBroker(2)
})

test('probes tell a broker that lives from one that is ready', async () => {
  for (const path of ['/livez', '/healthz', '/readyz']) expect((await ask(1, path)).response.status).toBe(200)
  const metrics = (await ask(1, '/metrics')).text
  expect(metrics).toMatch(/^stele_broker_lease_age_seconds [\d.]+$/m)
  expect(metrics).toMatch(/^kafka_server_replicamanager_underreplicatedpartitions \d+$/m)
})
