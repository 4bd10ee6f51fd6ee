import { describe, expect, test } from 'vitest'
import { ApiError } from '../../kube/api.ts'
import { type ConfigMap, configMaps, pods, statefulSets } from '../../kube/resources.ts'
import { SimClock } from './clock.ts'
import { SimKube } from './kube.ts'
import { Seeded } from './seeded.ts'

const key = (name: string) => ({ namespace: 'default', name })
const configMap = (name: string, metadata: Partial<ConfigMap['metadata']> = {}): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { ...key(name), ...metadata },
})

function started() {
  const time = new SimClock(Date.UTC(2026, 0, 1))
  const clock = time.clockOf({ alive: true })
  const server = new SimKube({ clock, random: new Seeded(1) })
  return { time, clock, server, api: server.client() }
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof ApiError ? error.code : error),
  )

describe('the simulated API server, where a test makes it fail', () => {
  test('the next call fails, if it is like the one meant', async () => {
    const { time, server, api } = started()
    server.failNext({ code: 429, retryAfterSeconds: 3 }, { verb: 'create', name: 'b' })
    expect(await time.finish(codeOf(api.create(configMaps, configMap('a'))))).toBe('done')
    expect(await time.finish(codeOf(api.create(configMaps, configMap('b'))))).toBe(429)
    expect(await time.finish(codeOf(api.create(configMaps, configMap('b'))))).toBe('done')
  })

  test.each([
    { lost: 'before' as const, there: false },
    { lost: 'after' as const, there: true },
  ])('an answer is lost $lost the effect', async ({ lost, there }) => {
    const { time, server, api, clock } = started()
    server.failNext({ lost, afterMs: 5_000 })
    expect(await time.finish(codeOf(api.create(configMaps, configMap('a'))))).toBe(0)
    expect(clock.monotonicMs()).toBeGreaterThan(5_000)
    expect(server.peek(configMaps, key('a')) !== undefined).toBe(there)
    expect(server.writes).toHaveLength(there ? 1 : 0)
  })

  test('what a killed process sent may be carried out, but answers nobody', async () => {
    const { time, server } = started()
    const process = { alive: true }
    let answers = 0
    const count = (): void => {
      answers += 1
    }
    void server.client(time.clockOf(process)).create(configMaps, configMap('a')).then(count)
    process.alive = false
    await time.runFor(60_000)
    expect([server.peek(configMaps, key('a'))?.metadata.name, answers]).toEqual(['a', 0])
  })

  test('who is not connected hears nothing', async () => {
    const { time, server, api } = started()
    api.connected = false
    expect(await time.finish(codeOf(api.get(configMaps, key('a'))))).toBe(0)
    expect(await time.finish(codeOf(server.client().get(configMaps, key('a'))))).toBe('done')
  })

  test('forgotten history is 410', async () => {
    const { time, server, api } = started()
    const { resourceVersion } = await time.finish(api.list(configMaps))
    server.set(configMaps, key('a'), () => configMap('a'))
    server.compact()
    const read = async (): Promise<void> => {
      const watch = api.watch(
        configMaps,
        { resourceVersion, timeoutSeconds: 9 },
        new AbortController().signal,
      )
      for await (const _ of watch) expect.fail('it must not begin')
    }
    expect(await time.finish(codeOf(read()))).toBe(410)
  })
})

describe('the simulated API server', () => {
  test('collects what has lost its owners, and nothing else', async () => {
    const { time, server, api } = started()
    const make = (name: string, ...owners: ConfigMap[]): Promise<ConfigMap> => {
      const ownerReferences = owners.map(({ apiVersion, kind, metadata }) => ({
        apiVersion,
        kind,
        name: metadata.name,
        uid: metadata.uid ?? '',
      }))
      return time.finish(
        api.create(configMaps, configMap(name, owners.length === 0 ? {} : { ownerReferences })),
      )
    }
    const [one, two] = [await make('one'), await make('two')]
    const child = await make('child', one)
    await make('grandchild', child)
    await make('shared', one, two)
    await time.runFor(1_000)
    await time.finish(api.delete(configMaps, key('one')))
    await time.runFor(1_000)
    const names = () => server.peekAll(configMaps).map(({ metadata }) => metadata.name)
    expect(names()).toEqual(['shared', 'two'])
    await time.finish(api.delete(configMaps, key('two'), { propagation: 'Orphan' }))
    await time.runFor(1_000)
    expect(names()).toEqual(['shared'])
  })

  test('keeps what has finalizers until they are gone', async () => {
    const { time, server, api } = started()
    const metadata = { ...key('a'), finalizers: ['example.com/x'] }
    await time.finish(api.create(configMaps, { ...configMap('a'), metadata }))
    expect(await time.finish(api.delete(configMaps, key('a')))).toBe(true)
    expect(server.peek(configMaps, key('a'))?.metadata.deletionTimestamp).toBeDefined()
    await time.finish(api.patch(configMaps, key('a'), [{ op: 'remove', path: '/metadata/finalizers' }]))
    expect(server.peek(configMaps, key('a'))).toBeUndefined()
  })

  test('lets simulated controllers write status, and tells them what changes', async () => {
    const { time, server, api } = started()
    const seen: string[] = []
    server.onChange(pods, ({ before, after }) =>
      seen.push(`${before?.status?.phase} > ${after?.status?.phase}`),
    )
    server.set(pods, key('a'), () => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: key('a'),
      spec: { containers: [] },
      status: { phase: 'Pending' },
    }))
    server.set(pods, key('a'), now => (now === undefined ? now : { ...now, status: { phase: 'Running' } }))
    expect((await time.finish(api.get(pods, key('a'))))?.status).toEqual({ phase: 'Running' })
    server.set(pods, key('a'), () => undefined)
    expect(seen).toEqual([
      'undefined > undefined',
      'undefined > Pending',
      'Pending > Running',
      'Running > undefined',
    ])
    expect(server.writes).toEqual([])
  })

  test('refuses what a StatefulSet cannot change', async () => {
    const { time, api } = started()
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a' }] } }
    const spec = { serviceName: 'a', selector: { matchLabels: { a: 'b' } }, template }
    const made = await time.finish(
      api.create(statefulSets, { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: key('a'), spec }),
    )
    const changed = { ...made, spec: { ...spec, serviceName: 'b' } }
    expect(await time.finish(codeOf(api.replace(statefulSets, changed)))).toBe(422)
    const scaled = { ...made, spec: { ...spec, replicas: 2 } }
    expect((await time.finish(api.replace(statefulSets, scaled))).metadata.generation).toBe(2)
  })
})
