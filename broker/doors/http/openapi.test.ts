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
    'DELETE /v1/topics/{topic}',
    'DELETE /v1/topics/{topic}/partitions/{partition}/records',
    'GET /healthz',
    'GET /metrics',
    'GET /read',
    'GET /readyz',
    'GET /v1/cluster',
    'GET /v1/groups',
    'GET /v1/groups/{group}',
    'GET /v1/topics',
    'GET /v1/topics/{topic}',
    'GET /v1/topics/{topic}/partitions/{partition}/records',
    'GET /v1/topics/{topic}/partitions/{partition}/stream',
    'PATCH /v1/topics/{topic}',
    'POST /append',
    'POST /v1/groups/{group}/offsets',
    'POST /v1/topics',
    'POST /v1/topics/{topic}/records',
  ])
  const ids = operations().map(([, , operation]) => operation.operationId)
  expect(new Set(ids).size).toBe(ids.length)
})

test('every route, parameter and answer is described, with its errors', () => {
  for (const [method, path, operation] of operations()) {
    const name = `${method} ${path}`
    expect(operation.summary, name).toMatch(/./)
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
    expect(
      operation.parameters?.filter(each => each.in === 'path').map(each => each.name) ?? [],
      name,
    ).toEqual(documented)
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
  const append = spec.paths['/v1/topics/{topic}/records']?.['post']?.requestBody?.content
  for (const { value } of Object.values(append?.['application/json']?.examples ?? {})) {
    expect((await broker.ask('/v1/topics/examples/records', { body: value as object })).status).toBe(200)
  }
  const lines = append?.['application/x-ndjson']?.example as string
  const { text } = await broker.ask('/v1/topics/examples/records', {
    body: lines,
    headers: { 'content-type': 'application/x-ndjson' },
  })
  expect(text).not.toContain('error')
  const create = spec.paths['/v1/topics']?.['post']?.requestBody?.content['application/json']?.example as {
    name: string
  }
  expect((await broker.ask('/v1/topics', { body: create })).status).toBe(201)
  const alter = spec.paths['/v1/topics/{topic}']?.['patch']?.requestBody?.content['application/json']
    ?.example as object
  expect((await broker.ask(`/v1/topics/${create.name}`, { method: 'PATCH', body: alter })).status).toBe(200)
})

test('query parameters are those that the routes take', async () => {
  const values: Record<string, string> = { before: 'latest', topic: 'examples', timestamp: '0', key: 'k' }
  for (const [method, path, { parameters = [] }] of operations()) {
    const query = parameters.filter(each => each.in === 'query')
    for (const { name, schema } of query) {
      const value = values[name] ?? String((schema as { default?: unknown }).default ?? 'text')
      const url = path.replace('{topic}', 'examples').replace('{partition}', '0')
      const leave = new AbortController()
      const response = await fetch(`${broker.url}${url}?${name}=${encodeURIComponent(value)}`, {
        method: method.toUpperCase(),
        ...(method === 'post' ? { body: '{"value":1}' } : {}),
        signal: leave.signal,
      })
      expect(response.status, `${method} ${path} ${name}=${value}`).toBe(
        name === 'acks' ? 200 : response.ok ? response.status : 0,
      )
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
    expect((await broker.ask(part)).status, part).toBe(200)
  }
  const script = await broker.ask('/docs/static/swagger-initializer.js')
  expect(script.text).not.toMatch(/https?:\/\//)
  expect(script.text).toContain('"validatorUrl":null')
  expect((await broker.ask('/docs/json')).json['openapi']).toBe('3.1.0')
  expect((await broker.ask('/docs/')).status).toBe(200)
})
