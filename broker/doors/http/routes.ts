import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Refusal } from '../../../base/refusals.ts'
import { answerError } from './answering.ts'
import { Advice, shown } from './errors.ts'
import { nearest } from './parameters.ts'
import type { Serving } from './serving.ts'

/** What an address may be followed by another method for, or be near to. */
type Route = { readonly path: string; readonly pattern: RegExp; readonly methods: Set<string> }

/** Answers what no route takes: with the methods there are, or with the nearest address. Call it before routes are added. */
export function answerUnknownRoutes(app: FastifyInstance, serving: Serving): void {
  const routes = new Map<string, Route>()
  app.addHook('onRoute', ({ url, method, schema }) => {
    if (schema?.hide === true) return
    const route = routes.get(url) ?? { path: url, pattern: patternOf(url), methods: new Set<string>() }
    for (const name of [method].flat()) route.methods.add(name)
    routes.set(url, route)
  })
  app.setNotFoundHandler((request, reply) => {
    const refusal = refuse(request, reply, [...routes.values()])
    return answerError(refusal, request, reply, serving)
  })
}

const patternOf = (path: string): RegExp => new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}/?$`)

function refuse(request: FastifyRequest, reply: FastifyReply, routes: readonly Route[]): Refusal {
  const path = request.url.replace(/\?.*$/s, '')
  const same = routes.find(route => route.pattern.test(path))
  if (same !== undefined) {
    const allowed = [...same.methods].join(', ')
    reply.header('allow', allowed)
    return new Refusal(
      'METHOD_NOT_ALLOWED',
      `${request.method} is no method of ${shown(path)}; ${allowed} would be`,
    )
  }
  const near = nearest(
    shapeOf(path),
    routes.map(route => shapeOf(route.path)),
  )
  const meant = routes.find(route => shapeOf(route.path) === near)
  return new Advice(
    'UNKNOWN_ROUTE',
    `There is nothing at ${shown(path)}`,
    meant === undefined
      ? 'Look at /docs for the routes there are.'
      : `Did you mean ${meant.path.replaceAll(/:(\w+)/g, '{$1}')}? /docs shows all routes.`,
  )
}

/** The words of a path without the names people choose, so that those do not count as misspelt. */
const shapeOf = (path: string): string =>
  path
    .split('/')
    .map((part, index, parts) => (part.startsWith(':') || isName(parts, index) ? '*' : part))
    .join('/')
    .slice(0, 200)

/** In /v1/topics/NAME/partitions/NUMBER. */
const isName = (parts: readonly string[], index: number): boolean =>
  parts[1] === 'v1' && (index === 3 || index === 5)
