import { afterAll, beforeAll, expect, test } from 'vitest'
import { refusals } from '../../../base/refusals.ts'
import { HttpBroker } from './broker.fixture.ts'
import { shapes } from './docs-shapes.ts'
import { recordOf } from './record-in.ts'

let broker: HttpBroker
let spec: Spec

type Operation = {
  summary?: string
  operationId?: string
  parameters?: { name: string; in: string; description?: string; required?: boolean; schema: object }[]
  requestBody?: {
    content: Record<
      string,
      { schema?: object; example?: unknown; examples?: Record<string, { value: unknown }> }
    >
  }
  responses: Record<string, { description?: string; content?: Record<string, object> }>
}

type Spec = {
  openapi: string
  info: { title: string; version: string }
  components: { schemas: Record<string, object> }
  paths: Record<string, Record<string, Operation>>
}

beforeAll(async () => {
  broker = await HttpBroker.start()
  spec = (await broker.ask('/openapi.json')).json as unknown as Spec
})

afterAll(() => broker.stop())

/** The path with what a test asks in place of its parameters; consumers are in a group of their own. */
const pathOf = (path: string, topic: string, consumer: string): string =>
  path
    .replace('{group}', path.includes('/consumers') ? 'queue' : 'reset')
    .replace('{topic}', topic)
    .replace('{partition}', '0')
    .replace('{consumer}', consumer)

async function newConsumer(): Promise<string> {
  await broker.ask('/v1/topics', { body: { name: 'consumed' } })
  const { json } = await broker.ask('/v1/groups/queue/consumers', { body: { topics: ['consumed'] } })
  return String(json['consumer'])
}

const operations = (): [string, string, Operation][] =>
  Object.entries(spec.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
      method,
      path,
      operation,
    ]),
  )

test('it describes every route, and says what it is', () => {
  expect(spec.openapi).toBe('3.1.0')
  expect(spec.info).toMatchObject({ title: 'Stele', version: '9.8.7' })
  expect(
    operations()
      .map(([method, path]) => `${method.toUpperCase()} ${path}`)
      .sort(),
  ).toEqual([
    'DELETE /v1/groups/{group}',
    'DELETE /v1/groups/{group}/consumers/{consumer}',
    'DELETE /v1/topics/{topic}',
    'DELETE /v1/topics/{topic}/partitions/{partition}/records',
    'GET /healthz',
    'GET /livez',
    'GET /metrics',
    'GET /read',
    'GET /readyz',
    'GET /v1/cluster',
    'GET /v1/groups',
    'GET /v1/groups/{group}',
    'GET /v1/groups/{group}/consumers',
    'GET /v1/groups/{group}/consumers/{consumer}',
    'GET /v1/topics',
    'GET /v1/topics/{topic}',
    'GET /v1/topics/{topic}/partitions/{partition}/records',
    'GET /v1/topics/{topic}/partitions/{partition}/stream',
    'PATCH /v1/topics/{topic}',
    'POST /append',
    'POST /v1/groups/{group}/consumers',
    'POST /v1/groups/{group}/consumers/{consumer}/acknowledge',
    'POST /v1/groups/{group}/consumers/{consumer}/extend',
    'POST /v1/groups/{group}/consumers/{consumer}/receive',
    'POST /v1/groups/{group}/consumers/{consumer}/release',
    'POST /v1/groups/{group}/offsets',
    'POST /v1/topics',
    'POST /v1/topics/{topic}/elections',
    'POST /v1/topics/{topic}/moves',
    'POST /v1/topics/{topic}/records',
  ])
  const ids = operations().map(([, , operation]) => operation.operationId)
  expect(new Set(ids).size).toBe(ids.length)
})

test('every route, parameter and answer is described, with its errors', () => {
  for (const [method, path, operation] of operations()) {
    const name = `${method} ${path}`
    expect(`${name}: ${operation.summary}`).toMatch(/: [A-Z]/)
    for (const parameter of operation.parameters ?? [])
      expect(parameter.description, `${name} ${parameter.name}`).toMatch(/./)
    for (const [status, answer] of Object.entries(operation.responses)) {
      expect(answer.description, `${name} ${status}`).toMatch(/./)
      if (Number(status) < 400) continue
      expect(answer.content?.['application/json'], `${name} ${status}`).toMatchObject({
        schema: { $ref: '#/components/schemas/Error' },
      })
      for (const code of path === '/readyz' ? [] : (answer.description ?? '').split(', ')) {
        expect(refusals[code as keyof typeof refusals].http, `${name} ${code}`).toBe(Number(status))
      }
    }
    const documented = path.match(/\{(\w+)\}/g)?.map(part => part.slice(1, -1)) ?? []
    const inPath = operation.parameters?.filter(each => each.in === 'path').map(each => each.name) ?? []
    expect([name, ...inPath]).toEqual([name, ...documented])
  }
})

test('every reference leads somewhere', () => {
  const references = [...JSON.stringify(spec).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
    match => match[1] ?? '',
  )
  expect(references.length).toBeGreaterThan(20)
  expect(new Set(references)).toEqual(new Set(shapes.map(shape => shape.$id)))
  expect(Object.keys(spec.components.schemas).sort()).toEqual(shapes.map(shape => shape.$id).sort())
})

test('its examples work', async () => {
  for (const example of shapes.find(shape => shape.$id === 'Record')?.examples ?? [])
    recordOf(example, 'text')
  let tried = 0
  const consumer = await newConsumer()
  for (const [method, path, { requestBody }] of operations()) {
    for (const [type, { example, examples = {} }] of Object.entries(requestBody?.content ?? {})) {
      for (const value of [example, ...Object.values(examples).map(each => each.value)]) {
        if (value === undefined) continue
        const { status, text } = await broker.ask(pathOf(path, 'used', consumer), {
          method: method.toUpperCase(),
          body: value as object,
          headers: { 'content-type': type },
        })
        expect(status, `${method} ${path} ${text}`).toBeLessThan(300)
        expect(text).not.toContain('error')
        tried += 1
      }
    }
  }
  expect(tried).toBe(10)
})

test('query parameters are those that the routes take', async () => {
  const consumer = await newConsumer()
  const values: Record<string, string> = { before: 'latest', topic: 'orders', timestamp: '0', partition: '0' }
  for (const [method, path, { parameters = [] }] of operations()) {
    for (const { name, schema } of parameters.filter(each => each.in === 'query')) {
      const value = values[name] ?? `${(schema as { default?: string | number }).default ?? 'text'}`
      const url = pathOf(path, 'orders', consumer)
      const leave = new AbortController()
      const response = await fetch(`${broker.url}${url}?${name}=${value}`, {
        method: method.toUpperCase(),
        ...(method === 'post' ? { body: url.endsWith('/receive') ? '{}' : '{"value":1}' } : {}),
        signal: leave.signal,
      })
      expect(response.status, `${method} ${path} ${name}=${value}`).toBe(200)
      leave.abort()
    }
  }
})

test('the page needs nothing from elsewhere', async () => {
  const page = await broker.ask('/docs')
  expect(page.headers.get('content-type')).toContain('text/html')
  const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(match => match[1] ?? '')
  expect(parts.length).toBeGreaterThan(4)
  for (const part of parts) {
    expect(part).toMatch(/^\/docs\/static\//)
    expect([part, (await broker.ask(part)).status]).toEqual([part, 200])
  }
  const script = await broker.ask('/docs/static/swagger-initializer.js')
  expect(script.text).not.toMatch(/url: ?'https?:/)
  expect(script.text).toContain('"validatorUrl":null')
  expect((await broker.ask('/docs/json')).json['openapi']).toBe('3.1.0')
  expect((await broker.ask('/docs/')).status).toBe(200)
})
