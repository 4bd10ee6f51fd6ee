import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { realWorld } from '../broker/world/world.ts'
import { ApiError, type JsonPatch, type WatchEvent } from './api.ts'
import { BadServer, answered, status, until } from './bad-server.fixture.ts'
import { KubeClient, type KubeClientOptions, type RequestObservation } from './client.ts'
import { configMap, simKube } from './kube.fixture.ts'
import { askForLines } from './requests.ts'
import { ListWatch } from './list-watch.ts'
import { type ConfigMap, configMaps, nodes, statefulSets } from './resources.ts'

const key = { namespace: 'default', name: 'a' }
const html = '<html><body>502 Bad Gateway</body></html>'

let server: BadServer
let seen: RequestObservation[]
beforeEach(async () => {
  server = new BadServer()
  seen = []
  await server.listen()
})
afterEach(() => server.close())

const client = (options: Partial<KubeClientOptions> = {}): KubeClient =>
  new KubeClient({ access: server.access, userAgent: 'test/1', onRequest: one => seen.push(one), ...options })

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await promise.then(
    () => expect.fail('it did not fail'),
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(ApiError)
  return error as ApiError
}

const kept = (name: string, n: string, resourceVersion: string): ConfigMap => {
  const { metadata, ...rest } = configMap(name, n)
  return { ...rest, metadata: { ...metadata, uid: `uid of ${name}`, resourceVersion } }
}

describe('pods', () => {
  test('are asked through the API server, and answer in whatever they speak', async () => {
    server.answer = (_request, response) => void response.end('a 1\nb 2\n')
    expect(await client().askPod(key, 8080, '/metrics')).toBe('a 1\nb 2\n')
    expect(server.requests).toEqual(['GET /api/v1/namespaces/default/pods/a:8080/proxy/metrics'])
    expect(seen).toMatchObject([{ verb: 'get', resource: 'pods', code: 200 }])
  })

  test('that cannot be reached, or may not be, are an ApiError', async () => {
    server.answer = (_request, response) => answered(response, 403, status(403, 'Forbidden'))
    expect(await failure(client().askPod(key, 8080, '/metrics'))).toMatchObject({ code: 403 })
    server.answer = (_request, response) => {
      response.statusCode = 502
      response.end(html)
    }
    expect(await failure(client().askPod(key, 8080, '/metrics'))).toMatchObject({ code: 502 })
  })
})

describe('requests', () => {
  test('go where the API server has the resource', async () => {
    server.answer = (request, response) =>
      answered(
        response,
        200,
        request.url?.includes('limit') === true
          ? { metadata: { resourceVersion: '7' }, items: [] }
          : kept('a', '1', '1'),
      )
    const api = client()
    await api.get(configMaps, key)
    await api.get(nodes, { namespace: '', name: 'n' })
    await api.list(statefulSets, { namespace: 'x', labelSelector: 'a in (b,c)' })
    await api.patch(statefulSets, key, [], { subresource: 'scale' })
    await api.apply(configMaps, configMap('a', '1'), { manager: 'me', force: true })
    await api.delete(configMaps, key)
    expect(server.requests).toEqual([
      'GET /api/v1/namespaces/default/configmaps/a',
      'GET /api/v1/nodes/n',
      'GET /apis/apps/v1/namespaces/x/statefulsets?labelSelector=a%20in%20(b%2Cc)&limit=500',
      'PATCH /apis/apps/v1/namespaces/default/statefulsets/a/scale',
      'PATCH /api/v1/namespaces/default/configmaps/a?fieldManager=me&force=true',
      'DELETE /api/v1/namespaces/default/configmaps/a',
    ])
    expect(seen.map(({ verb, resource, code }) => `${verb} ${resource} ${code}`)).toEqual([
      'get configmaps 200',
      'get nodes 200',
      'list statefulsets 200',
      'patch statefulsets 200',
      'apply configmaps 200',
      'delete configmaps 200',
    ])
  })

  test('share connections', async () => {
    server.answer = (_, response) => answered(response, 200, kept('a', '1', '1'))
    const api = client()
    for (let n = 0; n < 20; n += 1) await api.get(configMaps, key)
    expect(server.connections).toBe(1)
    server.answer = (_, response) => answered(response, 409, status(409, 'Conflict'))
    for (let n = 0; n < 20; n += 1) await failure(api.get(configMaps, key))
    expect(server.connections).toBe(1)
  })

  test('a list comes in pages, as whole objects', async () => {
    server.answer = (request, response) => {
      const next = new URL(request.url ?? '', 'http://x').searchParams.get('continue')
      const { apiVersion: _, kind: __, ...item } = kept(next === null ? 'a' : 'b', '1', '3')
      const metadata = { resourceVersion: '9', ...(next === null ? { continue: 'more?&' } : {}) }
      answered(response, 200, {
        metadata,
        items: [{ ...item, metadata: { ...item.metadata, managedFields: [{}] } }],
      })
    }
    expect(await client().list(configMaps)).toEqual({
      items: [kept('a', '1', '3'), kept('b', '1', '3')],
      resourceVersion: '9',
    })
    expect(server.requests).toHaveLength(2)
  })

  test.each([
    { code: 409, reason: 'Conflict' },
    { code: 422, reason: 'Invalid' },
    { code: 403, reason: 'Forbidden' },
    { code: 500, reason: 'InternalError' },
  ])('$code $reason is told as it is', async ({ code, reason }) => {
    server.answer = (_, response) => answered(response, code, status(code, reason))
    const error = await failure(client().create(configMaps, configMap('a', '1')))
    expect([error.code, error.reason, error.message]).toEqual([code, reason, `it is ${reason}`])
    expect(seen).toEqual([{ verb: 'create', resource: 'configmaps', code, seconds: expect.any(Number) }])
  })

  test('429 says how long to wait', async () => {
    server.answer = (_, response) => answered(response, 429, 'Too many requests', { 'retry-after': '7' })
    const error = await failure(client().get(configMaps, key))
    expect([error.code, error.retryAfterSeconds]).toEqual([429, 7])
    server.answer = (_, response) =>
      answered(response, 429, status(429, 'TooManyRequests', { retryAfterSeconds: 3 }))
    expect((await failure(client().get(configMaps, key))).retryAfterSeconds).toBe(3)
  })

  test('only the API server says that something is missing', async () => {
    server.answer = (_, response) =>
      answered(response, 404, status(404, 'NotFound', { name: 'a', kind: 'configmaps' }))
    expect(await client().get(configMaps, key)).toBeUndefined()
    expect(await client().delete(configMaps, key)).toBe(false)
    const others = [html, status(404, 'NotFound', {}), '']
    for (const body of others) {
      server.answer = (_, response) => answered(response, 404, body)
      expect((await failure(client().get(configMaps, key))).code).toBe(404)
      expect((await failure(client().delete(configMaps, key))).code).toBe(404)
    }
  })

  test.each([
    html,
    '',
    '{"kind":',
    'null',
    '[]',
    '7',
    '{}',
    '{"metadata":{}}',
    '{"items":[null],"metadata":{"resourceVersion":"1"}}',
  ])('a success that is not the API server’s is none: %s', async body => {
    server.answer = (_, response) => answered(response, 200, body)
    const api = client()
    const patch: JsonPatch = []
    for (const call of [
      () => api.get(configMaps, key),
      () => api.list(configMaps),
      () => api.patch(configMaps, key, patch),
      () => api.create(configMaps, configMap('a', '1')),
    ])
      expect(await failure(call())).toMatchObject({ code: 0, answered: false })
  })

  test('a proxy’s page is told with its code', async () => {
    server.answer = (_, response) => answered(response, 502, html, { 'content-type': 'text/html' })
    const error = await failure(client().list(configMaps))
    expect([error.code, error.reason]).toEqual([502, ''])
    expect(error.message).toContain('Bad Gateway')
  })

  test('credentials that are not accepted are asked for anew', async () => {
    server.answer = (_, response) => answered(response, 401, status(401, 'Unauthorized'))
    expect((await failure(client().get(configMaps, key))).code).toBe(401)
    expect(server.refreshed).toBe(1)
  })

  test.each<{ what: string; act: (response: ServerResponse) => void }>([
    { what: 'before it answers', act: response => response.destroy() },
    {
      what: 'within an answer',
      act: response => response.writeHead(200).write('{"apiVersion":', () => response.destroy()),
    },
    {
      what: 'within an answer of known length',
      act: response => {
        response.writeHead(200, { 'content-length': '1000' }).write('{}', () => response.destroy())
      },
    },
  ])('a connection that is cut $what', async ({ act }) => {
    server.answer = (_, response) => act(response)
    expect(await failure(client().get(configMaps, key))).toMatchObject({ code: 0 })
    expect(seen.map(({ code }) => code)).toEqual([0])
  })

  test.each<{ what: string; act: (response: ServerResponse) => void }>([
    { what: 'says nothing', act: () => undefined },
    { what: 'never ends its answer', act: response => void response.writeHead(200).write('{"a":') },
    {
      what: 'dribbles',
      act: response => {
        const dribble = setInterval(() => response.write(' '), 5)
        response.on('close', () => clearInterval(dribble))
      },
    },
  ])('a server that $what is waited for only so long, and the socket is freed', async ({ act }) => {
    server.answer = (_, response) => act(response)
    const error = await failure(client({ timeoutMs: 100 }).get(configMaps, key))
    expect([error.code, error.message]).toEqual([0, expect.stringContaining('100 ms')])
    await until(() => server.connections === 0)
  })

  test('a server that is not there, and credentials that are not', async () => {
    const gone = { ...server.access, server: 'http://127.0.0.1:1' }
    expect((await failure(client({ access: gone }).get(configMaps, key))).code).toBe(0)
    const none = { ...server.access, credentials: () => Promise.reject(new Error('no token')) }
    expect((await failure(client({ access: none }).get(configMaps, key))).message).toContain('credentials')
    const broken = { ...server.access, server: 'http://not a host' }
    expect((await failure(client({ access: broken }).get(configMaps, key))).code).toBe(0)
  })
})

const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`

describe('a watch', () => {
  /** All events until it is over, and how it ended. */
  async function watched(api: KubeClient, signal = new AbortController().signal) {
    const events: WatchEvent<ConfigMap>[] = []
    try {
      for await (const event of api.watch(configMaps, { resourceVersion: '5', timeoutSeconds: 30 }, signal))
        events.push(event)
      return { events, error: undefined }
    } catch (error) {
      expect(error).toBeInstanceOf(ApiError)
      return { events, error: error as ApiError }
    }
  }
  const brief = (events: readonly WatchEvent<ConfigMap>[]): string[] =>
    events.map(event =>
      event.type === 'BOOKMARK'
        ? `BOOKMARK ${event.resourceVersion}`
        : `${event.type} ${event.object.metadata.name}`,
    )

  test('is a line for each event, in whatever pieces they come', async () => {
    const text =
      line('ADDED', kept('ä€😀', '1', '6')) +
      '\n' +
      line('BOOKMARK', { metadata: { resourceVersion: '7' } }) +
      line('NEW', { metadata: { resourceVersion: '7' } }) +
      line('DELETED', kept('a', '1', '8'))
    for (const size of [1, 3, 7, 1_000]) {
      const send = async (response: ServerResponse): Promise<void> => {
        const bytes = Buffer.from(text)
        for (let at = 0; at < bytes.length; at += size)
          await new Promise<void>(resolve =>
            response.write(bytes.subarray(at, at + size), () => setImmediate(resolve)),
          )
        response.end()
      }
      server.answer = (_, response) => void send(response)
      const { events, error } = await watched(client())
      expect(error).toBeUndefined()
      expect(brief(events)).toEqual(['BOOKMARK 5', 'ADDED ä€😀', 'BOOKMARK 7', 'DELETED a'])
    }
    expect(server.requests[0]).toBe(
      'GET /api/v1/configmaps?watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=30',
    )
    expect(seen[0]).toMatchObject({ verb: 'watch', code: 200 })
  })

  test.each<{ what: string; body: string; code: number }>([
    { what: '410 as an event', body: line('ERROR', status(410, 'Expired')), code: 410 },
    { what: '500 as an event', body: line('ERROR', status(500, 'InternalError')), code: 500 },
    { what: 'an error that says nothing', body: line('ERROR', null), code: 500 },
    { what: 'a page', body: html, code: 0 },
    { what: 'a line that is no JSON', body: '{"type":"ADDED",\n', code: 0 },
    { what: 'a line that is null', body: 'null\n', code: 0 },
    { what: 'an event of nothing', body: line('ADDED', {}), code: 0 },
    { what: 'a nameless object', body: line('ADDED', { metadata: { resourceVersion: '1' } }), code: 0 },
    { what: 'an end within a line', body: line('ADDED', kept('a', '1', '6')) + '{"type":"ADD', code: 0 },
  ])('$what ends it with an error', async ({ body, code }) => {
    server.answer = (_, response) => answered(response, 200, body)
    const { error } = await watched(client())
    expect(error?.code).toBe(code)
    await until(() => server.connections <= 1)
  })

  test.each([410, 429, 500, 403])('%d ends it before it begins', async code => {
    server.answer = (_, response) => answered(response, code, status(code, 'Reason'), { 'retry-after': '9' })
    const { events, error } = await watched(client())
    expect([events, error?.code, error?.retryAfterSeconds]).toEqual([[], code, 9])
    expect(seen.map(({ code }) => code)).toEqual([code])
  })

  test('a connection that is cut within a line', async () => {
    server.answer = (_, response) => {
      response.write(line('ADDED', kept('a', '1', '6')))
      response.write('{"type":"ADDED","obj', () => response.destroy())
    }
    const { events, error } = await watched(client())
    expect([brief(events), error?.code]).toEqual([['BOOKMARK 5', 'ADDED a'], 0])
  })

  test('that is not opened is waited for only so long', async () => {
    server.answer = () => undefined
    const { error } = await watched(client({ timeoutMs: 50 }))
    expect([error?.code, error?.message]).toEqual([0, expect.stringContaining('50 ms')])
    await until(() => server.connections === 0)
  })

  test.each<{ what: string; answer: (response: ServerResponse) => void }>([
    { what: 'before it is opened', answer: () => undefined },
    { what: 'while nothing happens', answer: response => response.writeHead(200).flushHeaders() },
    { what: 'within a line', answer: response => void response.writeHead(200).write('{"type":') },
  ])('that is aborted $what is over, and its socket is freed', async ({ answer }) => {
    for (let n = 0; n < 5; n += 1) {
      const abort = new AbortController()
      server.answer = (_, response) => {
        answer(response)
        setTimeout(() => abort.abort(), 10)
      }
      const { error } = await watched(client(), abort.signal)
      expect(error).toBeUndefined()
    }
    await until(() => server.connections === 0)
    expect(await watched(client(), AbortSignal.abort())).toEqual({ events: [], error: undefined })
  })

  test('that is left early frees its socket', async () => {
    server.answer = (_, response) => response.write(line('ADDED', kept('a', '1', '6')))
    const { signal } = new AbortController()
    for await (const event of client().watch(
      configMaps,
      { resourceVersion: '5', timeoutSeconds: 30 },
      signal,
    ))
      if (event.type === 'ADDED') break
    await until(() => server.connections === 0)
    expect(server.requests).toHaveLength(1)
  })

  test('that falls silent is over after its time', async () => {
    server.answer = (_, response) => {
      let rest = 32
      const speak = setInterval(() => {
        response.write('{}\n')
        if (--rest === 0) clearInterval(speak)
      }, 25)
    }
    const around = { access: server.access, userAgent: 'test' }
    const asked = { method: 'GET', path: '/', timeoutMs: 30_000 }
    const lines: unknown[] = []
    const read = async (): Promise<void> => {
      const { signal } = new AbortController()
      for await (const one of askForLines(around, asked, { idleMs: 500, signal })) lines.push(one)
    }
    expect((await failure(read())).message).toContain('silent for 500 ms')
    expect(lines, 'what is said in time keeps it open').toHaveLength(33)
    await until(() => server.connections === 0)
  })
})

describe('a ListWatch on a bad server', () => {
  test('ends up with what the server has', async () => {
    const { clock, random } = realWorld()
    const { random: chance, log } = simKube(1)
    const held = new Map<string, ConfigMap>()
    /** Every change, at the place of its version. */
    const changes: { type: string; object: ConfigMap }[] = []
    let forgotten = 0
    const change = (): void => {
      const name = chance.pick(['a', 'b', 'c', 'd'])
      const version = String(changes.length + 1)
      const was = held.get(name)
      if (was !== undefined && chance.chance(0.3)) {
        held.delete(name)
        changes.push({ type: 'DELETED', object: kept(name, 'gone', version) })
      } else {
        const object = kept(name, version, version)
        held.set(name, object)
        changes.push({ type: was === undefined ? 'ADDED' : 'MODIFIED', object })
      }
    }
    let isBad = true
    const bad = (response: ServerResponse): boolean => {
      if (!isBad || chance.chance(0.4)) return false
      chance.pick([
        () => answered(response, 500, status(500, 'InternalError')),
        () => answered(response, 502, html),
        () => answered(response, 200, html),
        () => answered(response, 410, status(410, 'Expired')),
        () => answered(response, 200, line('ERROR', status(410, 'Expired'))),
        () => response.destroy(),
        () => response.write('{"type":"ADDED","object":{"meta', () => response.destroy()),
      ])()
      return true
    }
    server.answer = (request, response) => {
      if (bad(response)) return
      const query = new URL(request.url ?? '', 'http://x').searchParams
      if (query.get('watch') === null) {
        answered(response, 200, {
          items: [...held.values()],
          metadata: { resourceVersion: String(changes.length) },
        })
        return
      }
      const from = Number(query.get('resourceVersion'))
      if (from < forgotten) {
        answered(response, 200, line('ERROR', status(410, 'Expired')))
        return
      }
      response.writeHead(200).flushHeaders()
      let at = from
      const timer = setInterval(() => {
        for (; at < changes.length; at += 1) {
          const { type = '', object } = changes[at] ?? {}
          const text = line(type, object)
          const cut = isBad && chance.chance(0.1)
          response.write(cut ? text.slice(0, chance.below(text.length)) : text)
          if (cut) {
            response.destroy()
            return
          }
        }
        if (isBad && chance.chance(0.05)) forgotten = changes.length
        if (isBad && chance.chance(0.1)) response.end()
      }, 2)
      response.on('close', () => clearInterval(timer))
    }
    const copy = new Map<string, string | undefined>()
    const watch = new ListWatch({
      api: client(),
      clock,
      random,
      log,
      resource: configMaps,
      timings: { backOff: { firstMs: 1, maxMs: 5 } },
      onChange({ before, after }) {
        const name = (before ?? after)?.metadata.name ?? ''
        expect(copy.get(name)).toBe(before?.data?.['n'])
        copy.set(name, after?.data?.['n'])
      },
    })
    watch.start()
    for (let n = 0; n < 150; n += 1) {
      change()
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    isBad = false
    const byName = (objects: Iterable<ConfigMap>) =>
      [...objects].map(({ metadata, data }) => `${metadata.name} ${data?.['n']}`).sort()
    await until(() => JSON.stringify(byName(watch.items())) === JSON.stringify(byName(held.values())))
    expect(
      [...copy]
        .filter(([, n]) => n !== undefined)
        .map(([name, n]) => `${name} ${n}`)
        .sort(),
    ).toEqual(byName(held.values()))
    expect(seen.filter(({ verb }) => verb === 'watch').length, 'it was hurt').toBeGreaterThan(10)
    await watch.stop()
    await until(() => server.connections <= 1)
  })
})
