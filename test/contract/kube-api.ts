/**
 * What every `KubeApi` does, be it simulated or real. What enters is a way to open one; what must hold of it is in the tests.
 * Namespaces, the kinds `Widget` (with a status of its own) and `Note` (all at the top) are there when it is open.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ApiError, type KubeApi, type KubeObject, type Resource, type WatchEvent } from '../../kube/api.ts'
import { microTime } from '../../kube/micro-time.ts'
import {
  type ConfigMap,
  type ServiceObject,
  type StatefulSet,
  configMaps,
  leases,
  services,
  statefulSets,
  storageClasses,
} from '../../kube/resources.ts'

export type Opened = {
  readonly api: KubeApi
  /** Two that are this run's alone, the first of them before the second in the alphabet. */
  readonly namespaces: readonly [string, string]
  /** Lets happen what must for `promise` to settle. */
  run<Result>(promise: Promise<Result>): Promise<Result>
  close(): Promise<void>
}

export type Widget = KubeObject & {
  readonly spec: { readonly size?: number; readonly color?: string; readonly tags?: readonly string[] }
  readonly status?: { readonly phase: string }
}
export type Note = KubeObject & {
  readonly text: string
  readonly tablets: readonly { readonly epoch: number }[]
}

const group = 'contract.stele.dev'
export const widgets: Resource<Widget> = { group, version: 'v1', kind: 'Widget', plural: 'widgets' }
export const notes: Resource<Note> = { group, version: 'v1', kind: 'Note', plural: 'notes' }

export function kubeApiContract(name: string, open: () => Promise<Opened>): void {
  describe(`the Kubernetes API, ${name}`, () => {
    let opened: Opened
    let names = 0
    beforeAll(async () => {
      opened = await open()
    })
    afterAll(() => opened.close())

    const run = <Result>(promise: Promise<Result>): Promise<Result> => opened.run(promise)
    /** An object's place of its own for each test. */
    const place = () => ({ namespace: opened.namespaces[0], name: `thing-${++names}` })
    const configMap = (data: Record<string, string>, labels?: Record<string, string>): ConfigMap => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...place(), ...(labels === undefined ? {} : { labels }) },
      data,
    })
    const widget = (spec: Widget['spec']): Widget => ({
      apiVersion: `${group}/v1`,
      kind: 'Widget',
      metadata: place(),
      spec,
    })
    const keyOf = ({ metadata: { namespace = '', name } }: KubeObject) => ({ namespace, name })
    /** The error of a call that must fail. */
    const failure = async (promise: Promise<unknown>): Promise<ApiError> => {
      const error = await run(
        promise.then(
          () => undefined,
          (error: unknown) => error,
        ),
      )
      expect(error).toBeInstanceOf(ApiError)
      return error as ApiError
    }

    describe('making and reading', () => {
      test('what was made is there, and once only', async () => {
        const { api } = opened
        const wanted = configMap({ a: '1' })
        expect(await run(api.get(configMaps, keyOf(wanted)))).toBeUndefined()
        const made = await run(api.create(configMaps, wanted))
        expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
        expect(made.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
        expect(made.data).toEqual({ a: '1' })
        expect(await run(api.get(configMaps, keyOf(wanted)))).toEqual(made)
        const error = await failure(api.create(configMaps, wanted))
        expect([error.code, error.reason, error.answered]).toEqual([409, 'AlreadyExists', true])
      })

      test('a list has what was selected, with all that get gives', async () => {
        const { api, namespaces } = opened
        const made: ConfigMap[] = []
        for (const labels of [{ list: 'a' }, { list: 'b', more: 'x' }, { list: 'c' }])
          made.push(await run(api.create(configMaps, configMap({}, { ...labels, run: namespaces[0] }))))
        const elsewhere: ConfigMap = {
          ...configMap({}),
          metadata: {
            name: 'elsewhere',
            namespace: namespaces[1],
            labels: { list: 'a', run: namespaces[0] },
          },
        }
        made.push(await run(api.create(configMaps, elsewhere)))
        const found = async (labelSelector: string, namespace?: string): Promise<number[]> => {
          const selection = namespace === undefined ? { labelSelector } : { labelSelector, namespace }
          const { items, resourceVersion } = await run(api.list(configMaps, selection))
          expect(Number(resourceVersion)).toBeGreaterThanOrEqual(
            Number(made.at(-1)?.metadata.resourceVersion),
          )
          for (const item of items) expect(made).toContainEqual(item)
          return items.map(item => made.findIndex(one => one.metadata.uid === item.metadata.uid))
        }
        expect(await found('list in (a, b)', namespaces[0])).toEqual([0, 1])
        expect(await found(`list=a,run=${namespaces[0]}`)).toEqual([0, 3])
        expect(await found('list=b,more', namespaces[0])).toEqual([1])
        expect(await found('list,!more', namespaces[0])).toEqual([0, 2])
        expect(await found('list,list!=a,list notin (b)', namespaces[0])).toEqual([2])
        expect(await found('list=none')).toEqual([])
      })

      test('names, labels and kinds that cannot be are refused', async () => {
        const { api } = opened
        const { metadata } = configMap({})
        const of = (changed: object) => ({ ...configMap({}), metadata: { ...metadata, ...changed } })
        for (const wrong of [
          { name: 'Upper_case' },
          { labels: { a: 'not a label' } },
          { labels: { a: 'x'.repeat(64) } },
        ]) {
          const error = await failure(api.create(configMaps, of(wrong)))
          expect([error.code, error.reason]).toEqual([422, 'Invalid'])
        }
        expect((await failure(api.create(configMaps, { ...of({}), kind: 'Secret' }))).code).toBe(400)
      })

      test('what stands in no namespace', async () => {
        const { api } = opened
        const { name } = place()
        const made = await run(
          api.create(storageClasses, {
            apiVersion: 'storage.k8s.io/v1',
            kind: 'StorageClass',
            metadata: { name: `${opened.namespaces[0]}-${name}`, labels: { run: opened.namespaces[0] } },
            provisioner: 'example.com/none',
          }),
        )
        const key = { namespace: '', name: made.metadata.name }
        expect(await run(api.get(storageClasses, key))).toEqual(made)
        const { items } = await run(
          api.list(storageClasses, { labelSelector: `run=${opened.namespaces[0]}` }),
        )
        expect(items).toEqual([made])
        expect(await run(api.delete(storageClasses, key))).toBe(true)
        expect(await run(api.get(storageClasses, key))).toBeUndefined()
      })
    })

    describe('changing', () => {
      test('a replacement is guarded by the version it was made from', async () => {
        const { api } = opened
        const first = await run(api.create(configMaps, configMap({ a: '1' })))
        const second = await run(api.replace(configMaps, { ...first, data: { a: '2' } }))
        expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion)
        expect(second.metadata.uid).toBe(first.metadata.uid)
        const error = await failure(api.replace(configMaps, { ...first, data: { a: '3' } }))
        expect([error.code, error.reason]).toEqual([409, 'Conflict'])
        expect(await run(api.get(configMaps, keyOf(first)))).toEqual(second)
      })

      test('a replacement without a version is for kinds that allow it', async () => {
        const { api } = opened
        const made = await run(api.create(configMaps, configMap({ a: '1' })))
        const free: ConfigMap = { ...made, metadata: keyOf(made), data: { b: '2' } }
        const replaced = await run(api.replace(configMaps, free))
        expect(replaced.data).toEqual({ b: '2' })
        expect(replaced.metadata.uid).toBe(made.metadata.uid)
        const thing = await run(api.create(widgets, widget({ size: 1 })))
        expect((await failure(api.replace(widgets, { ...thing, metadata: keyOf(thing) }))).code).toBe(422)
      })

      test('what is not there cannot be changed', async () => {
        const { api } = opened
        const wanted = configMap({})
        const calls = [
          () => api.replace(configMaps, wanted),
          () => api.patch(configMaps, keyOf(wanted), [{ op: 'add', path: '/data', value: {} }]),
        ]
        for (const call of calls) {
          const error = await failure(call())
          expect([error.code, error.reason]).toEqual([404, 'NotFound'])
        }
      })

      test('what changes nothing makes no new version', async () => {
        const { api } = opened
        const made = await run(api.create(configMaps, configMap({ a: '1' })))
        const { resourceVersion } = made.metadata
        const same = [
          await run(api.replace(configMaps, made)),
          await run(api.patch(configMaps, keyOf(made), [{ op: 'replace', path: '/data/a', value: '1' }])),
        ]
        expect(same.map(object => object.metadata.resourceVersion)).toEqual([
          resourceVersion,
          resourceVersion,
        ])
      })

      test('a patch does all its steps or none', async () => {
        const { api } = opened
        const made = await run(api.create(notes, note('a', [1, 2])))
        const patched = await run(
          api.patch(notes, keyOf(made), [
            { op: 'test', path: '/tablets/1/epoch', value: 2 },
            { op: 'replace', path: '/tablets/1/epoch', value: 3 },
            { op: 'add', path: '/tablets/-', value: { epoch: 4 } },
            { op: 'remove', path: '/tablets/0' },
            { op: 'add', path: '/metadata/annotations', value: { 'a.b/c': 'x' } },
            { op: 'add', path: '/metadata/annotations/a.b~1d', value: 'y' },
          ]),
        )
        expect(patched.tablets).toEqual([{ epoch: 3 }, { epoch: 4 }])
        expect(patched.metadata.annotations).toEqual({ 'a.b/c': 'x', 'a.b/d': 'y' })
        const failing = [
          { op: 'test', path: '/tablets/0/epoch', value: 2 },
          { op: 'test', path: '/nothing', value: 1 },
          { op: 'test', path: '/nothing/below', value: null },
          { op: 'test', path: '/metadata/resourceVersion', value: made.metadata.resourceVersion },
          { op: 'remove', path: '/tablets/7' },
          { op: 'remove', path: '/metadata/labels' },
          { op: 'add', path: '/nothing/below', value: 1 },
        ] as const
        for (const step of failing) {
          const patch = [{ op: 'replace', path: '/text', value: 'never' }, step] as const
          expect((await failure(api.patch(notes, keyOf(made), patch))).code, JSON.stringify(step)).toBe(422)
        }
        expect(await run(api.get(notes, keyOf(made)))).toEqual(patched)
      })

      test('a patch replaces also what is not there, and what is not there is null', async () => {
        const { api } = opened
        const made = await run(api.create(notes, note('a', [])))
        const patched = await run(
          api.patch(notes, keyOf(made), [
            { op: 'test', path: '/metadata/labels', value: null },
            { op: 'replace', path: '/metadata/labels', value: { a: 'b' } },
          ]),
        )
        expect(patched.metadata.labels).toEqual({ a: 'b' })
      })

      test('a patch may say which version it is for', async () => {
        const { api } = opened
        const made = await run(api.create(configMaps, configMap({ a: '1' })))
        const version = made.metadata.resourceVersion ?? ''
        const patch = (value: string) =>
          api.patch(configMaps, keyOf(made), [
            { op: 'replace', path: '/metadata/resourceVersion', value: version },
            { op: 'replace', path: '/data/a', value },
          ])
        expect((await run(patch('2'))).data).toEqual({ a: '2' })
        const error = await failure(patch('3'))
        expect([error.code, error.reason]).toEqual([409, 'Conflict'])
      })

      test('status is written under its own path only', async () => {
        const { api } = opened
        const made = await run(api.create(widgets, { ...widget({ size: 1 }), status: { phase: 'Mine' } }))
        expect(made.status).toBeUndefined()
        const patched = await run(
          api.patch(widgets, keyOf(made), [{ op: 'add', path: '/status', value: { phase: 'Good' } }], {
            subresource: 'status',
          }),
        )
        expect(patched.status).toEqual({ phase: 'Good' })
        const replaced = await run(
          api.replace(
            widgets,
            { ...patched, spec: { size: 9 }, status: { phase: 'Better' } },
            { subresource: 'status' },
          ),
        )
        expect([replaced.spec, replaced.status]).toEqual([{ size: 1 }, { phase: 'Better' }])
        const again = await run(
          api.replace(widgets, { ...replaced, spec: { size: 2 }, status: { phase: 'Bad' } }),
        )
        expect([again.spec, again.status]).toEqual([{ size: 2 }, { phase: 'Better' }])
      })

      test('the generation counts what is wished, not what is so', async () => {
        const { api } = opened
        const made = await run(api.create(widgets, widget({ size: 1 })))
        const labelled = await run(
          api.patch(widgets, keyOf(made), [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }]),
        )
        const told = await run(
          api.patch(widgets, keyOf(made), [{ op: 'add', path: '/status', value: { phase: 'Good' } }], {
            subresource: 'status',
          }),
        )
        const wished = await run(
          api.patch(widgets, keyOf(made), [{ op: 'replace', path: '/spec/size', value: 2 }]),
        )
        expect([made, labelled, told, wished].map(({ metadata }) => metadata.generation)).toEqual([
          1, 1, 1, 2,
        ])
        const flat = await run(api.create(notes, note('a', [])))
        const changed = await run(api.patch(notes, keyOf(flat), [{ op: 'add', path: '/text', value: 'b' }]))
        expect([flat, changed].map(({ metadata }) => metadata.generation)).toEqual([1, 2])
      })

      test('replicas are set by scaling', async () => {
        const { api } = opened
        const made = await run(api.create(statefulSets, statefulSet([])))
        await run(
          api.patch(statefulSets, keyOf(made), [{ op: 'replace', path: '/spec/replicas', value: 0 }], {
            subresource: 'scale',
          }),
        )
        expect((await run(api.get(statefulSets, keyOf(made))))?.spec?.replicas).toBe(0)
      })

      test('a Lease with the times of the code that writes them', async () => {
        const { api } = opened
        const key = place()
        const spec = {
          holderIdentity: 'a',
          leaseDurationSeconds: 15,
          renewTime: microTime(1_700_000_000_123),
        }
        const made = await run(
          api.create(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: key, spec }),
        )
        expect(made.spec).toEqual({ ...spec, renewTime: '2023-11-14T22:13:20.123000Z' })
      })
    })

    describe('deleting', () => {
      test('says whether there was something', async () => {
        const { api } = opened
        const made = await run(api.create(configMaps, configMap({})))
        expect(await run(api.delete(configMaps, keyOf(made)))).toBe(true)
        expect(await run(api.get(configMaps, keyOf(made)))).toBeUndefined()
        expect(await run(api.delete(configMaps, keyOf(made)))).toBe(false)
      })

      test('spares another of the same name', async () => {
        const { api } = opened
        const first = await run(api.create(configMaps, configMap({})))
        const { uid = '' } = first.metadata
        await run(api.delete(configMaps, keyOf(first), { uid }))
        const second = await run(api.create(configMaps, { ...first, metadata: keyOf(first) }))
        expect(second.metadata.uid).not.toBe(uid)
        expect((await failure(api.delete(configMaps, keyOf(first), { uid }))).code).toBe(409)
        expect(await run(api.get(configMaps, keyOf(first)))).toEqual(second)
        const right = { uid: second.metadata.uid ?? '', propagation: 'Background' } as const
        expect(await run(api.delete(configMaps, keyOf(first), right))).toBe(true)
      })

      test('spares what has changed since it was seen', async () => {
        const { api } = opened
        const seen = await run(api.create(configMaps, configMap({ a: '1' })))
        const { uid = '', resourceVersion = '' } = seen.metadata
        const now = await run(api.replace(configMaps, { ...seen, data: { a: '2' } }))
        const stale = api.delete(configMaps, keyOf(seen), { uid, resourceVersion })
        expect((await failure(stale)).code).toBe(409)
        const right = { uid, resourceVersion: now.metadata.resourceVersion ?? '' }
        expect(await run(api.delete(configMaps, keyOf(seen), right))).toBe(true)
      })
    })

    describe('applying', () => {
      const one = { manager: 'one', force: false }
      const two = { manager: 'two', force: false }

      test('makes what is missing, changes what differs, removes what is not wanted any more', async () => {
        const { api } = opened
        const wanted = configMap({ a: '1', b: '2' }, { x: 'y', z: 'z' })
        const made = await run(api.apply(configMaps, wanted, one))
        const again = await run(api.apply(configMaps, wanted, one))
        expect(again).toEqual(made)
        const less: ConfigMap = {
          ...wanted,
          metadata: { ...wanted.metadata, labels: { x: 'y' } },
          data: { a: '3' },
        }
        const changed = await run(api.apply(configMaps, less, one))
        expect([changed.data, changed.metadata.labels]).toEqual([{ a: '3' }, { x: 'y' }])
        expect(changed.metadata.uid).toBe(made.metadata.uid)
      })

      test('leaves alone what others manage', async () => {
        const { api } = opened
        const wanted = configMap({ a: '1' })
        await run(api.apply(configMaps, wanted, one))
        const both = await run(api.apply(configMaps, { ...wanted, data: { b: '2' } }, two))
        expect(both.data).toEqual({ a: '1', b: '2' })
        await run(api.patch(configMaps, keyOf(wanted), [{ op: 'add', path: '/data/c', value: '3' }]))
        const again = await run(api.apply(configMaps, { ...wanted, data: { d: '4' } }, one))
        expect(again.data).toEqual({ b: '2', c: '3', d: '4' })
      })

      test('what two manage stays until neither wants it', async () => {
        const { api } = opened
        const wanted = configMap({ a: '1', b: '1' })
        await run(api.apply(configMaps, wanted, one))
        await run(api.apply(configMaps, { ...wanted, data: { a: '1' } }, two))
        const left = await run(api.apply(configMaps, { ...wanted, data: { b: '1' } }, one))
        expect(left.data).toEqual({ a: '1', b: '1' })
        const none = await run(api.apply(configMaps, { ...wanted, data: { c: '1' } }, two))
        expect(none.data).toEqual({ b: '1', c: '1' })
      })

      test('is a conflict where another wants otherwise, unless forced', async () => {
        const { api } = opened
        const wanted = configMap({ a: '1' })
        await run(api.apply(configMaps, wanted, one))
        await run(api.patch(configMaps, keyOf(wanted), [{ op: 'replace', path: '/data/a', value: '2' }]))
        const error = await failure(api.apply(configMaps, wanted, one))
        expect([error.code, error.reason]).toEqual([409, 'Conflict'])
        const forced = await run(api.apply(configMaps, wanted, { ...one, force: true }))
        expect(forced.data).toEqual({ a: '1' })
        expect((await failure(api.apply(configMaps, { ...wanted, data: { a: '3' } }, two))).code).toBe(409)
        const taken = await run(
          api.apply(configMaps, { ...wanted, data: { a: '3' } }, { ...two, force: true }),
        )
        expect(taken.data).toEqual({ a: '3' })
        expect((await run(api.apply(configMaps, { ...wanted, data: {} }, one))).data).toEqual({ a: '3' })
      })

      test('lists with merge keys are merged', async () => {
        const { api } = opened
        const wanted = statefulSet([
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ])
        const made = await run(api.apply(statefulSets, wanted, one))
        const path = '/spec/template/spec/containers/0/env/-'
        await run(
          api.patch(statefulSets, keyOf(made), [{ op: 'add', path, value: { name: 'C', value: '3' } }]),
        )
        const less = { ...statefulSet([{ name: 'B', value: '4' }]), metadata: wanted.metadata }
        const left = await run(api.apply(statefulSets, less, one))
        const env = left.spec?.template.spec?.containers[0]?.env ?? []
        expect(env.map(({ name, value }) => `${name}=${value}`).sort()).toEqual(['B=4', 'C=3'])
        expect(left.spec?.template.spec?.containers).toHaveLength(1)
      })

      test('ports of a Service are merged by number and protocol', async () => {
        const { api } = opened
        const service = (...ports: number[]): ServiceObject => ({
          apiVersion: 'v1',
          kind: 'Service',
          metadata,
          spec: {
            clusterIP: 'None',
            selector: { a: 'b' },
            ports: ports.map(port => ({ name: `p${port}`, port, protocol: 'TCP' })),
          },
        })
        const metadata = place()
        await run(api.apply(services, service(1, 2), one))
        const changed = await run(api.apply(services, service(2, 3), one))
        expect(changed.spec?.ports?.map(({ port }) => port).sort()).toEqual([2, 3])
      })

      test('lists of custom resources are one field', async () => {
        const { api } = opened
        const wanted = widget({ tags: ['a', 'b'] })
        await run(api.apply(widgets, wanted, one))
        expect((await failure(api.apply(widgets, { ...wanted, spec: { tags: ['a'] } }, two))).code).toBe(409)
        const changed = await run(api.apply(widgets, { ...wanted, spec: { tags: ['c'] } }, one))
        expect(changed.spec.tags).toEqual(['c'])
        expect(changed.metadata.generation).toBe(2)
      })

      test('leaves status alone', async () => {
        const { api } = opened
        const wanted = widget({ size: 1 })
        const made = await run(api.apply(widgets, { ...wanted, status: { phase: 'Mine' } }, one))
        expect(made.status).toBeUndefined()
        const status = [{ op: 'add', path: '/status', value: { phase: 'Good' } }] as const
        await run(api.patch(widgets, keyOf(made), status, { subresource: 'status' }))
        const again = await run(api.apply(widgets, { ...wanted, spec: { color: 'red' } }, one))
        expect([again.spec, again.status]).toEqual([{ color: 'red' }, { phase: 'Good' }])
      })
    })

    describe('watching', () => {
      /** What comes until `count` have come or the watch is over, told briefly. */
      const watched = async (
        options: { labelSelector?: string; resourceVersion: string; timeoutSeconds?: number },
        count: number,
      ): Promise<string[]> => {
        const abort = new AbortController()
        const told: string[] = []
        const read = async (): Promise<void> => {
          const events = opened.api.watch(
            configMaps,
            { timeoutSeconds: 30, namespace: opened.namespaces[0], ...options },
            abort.signal,
          )
          for await (const event of events) {
            told.push(brief(event))
            if (told.length === count) abort.abort()
          }
        }
        await run(read())
        return told
      }
      const brief = (event: WatchEvent<ConfigMap>): string =>
        event.type === 'BOOKMARK' ? 'BOOKMARK' : `${event.type} ${event.object.data?.['n']}`
      const version = async (): Promise<string> =>
        (await run(opened.api.list(configMaps, { labelSelector: 'none' }))).resourceVersion

      test('tells what happened since, from then on, in order', async () => {
        const { api } = opened
        const resourceVersion = await version()
        const made = await run(api.create(configMaps, configMap({ n: '1' }, { w: 'a' })))
        await run(api.patch(configMaps, keyOf(made), [{ op: 'replace', path: '/data/n', value: '2' }]))
        await run(api.delete(configMaps, keyOf(made)))
        const all = ['BOOKMARK', 'ADDED 1', 'MODIFIED 2', 'DELETED 2']
        expect(await watched({ resourceVersion, labelSelector: 'w=a' }, 4)).toEqual(all)
        const { resourceVersion: from = '' } = made.metadata
        expect(await watched({ resourceVersion: from, labelSelector: 'w=a' }, 3)).toEqual([
          'BOOKMARK',
          'MODIFIED 2',
          'DELETED 2',
        ])
      })

      test('tells what happens meanwhile', async () => {
        const { api } = opened
        const told = watched({ resourceVersion: await version(), labelSelector: 'w=b' }, 2)
        await run(api.create(configMaps, configMap({ n: '1' }, { w: 'b' })))
        expect(await told).toEqual(['BOOKMARK', 'ADDED 1'])
      })

      test('what comes into the selection is added, what leaves it is deleted', async () => {
        const { api } = opened
        const resourceVersion = await version()
        const made = await run(api.create(configMaps, configMap({ n: '1' }, { w: 'no' })))
        for (const value of ['c', 'no'])
          await run(
            api.patch(configMaps, keyOf(made), [{ op: 'replace', path: '/metadata/labels/w', value }]),
          )
        expect(await watched({ resourceVersion, labelSelector: 'w=c' }, 3)).toEqual([
          'BOOKMARK',
          'ADDED 1',
          'DELETED 1',
        ])
      })

      test('ends when its time is over, and says how far it came', async () => {
        const resourceVersion = await version()
        const told = await watched({ resourceVersion, labelSelector: 'w=d', timeoutSeconds: 2 }, 100)
        expect(new Set(told)).toEqual(new Set(['BOOKMARK']))
      })
    })

    const note = (text: string, epochs: readonly number[]): Note => ({
      apiVersion: `${group}/v1`,
      kind: 'Note',
      metadata: place(),
      text,
      tablets: epochs.map(epoch => ({ epoch })),
    })

    const statefulSet = (env: readonly { name: string; value: string }[]): StatefulSet => ({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: place(),
      spec: {
        replicas: 0,
        serviceName: 'none',
        selector: { matchLabels: { a: 'b' } },
        template: {
          metadata: { labels: { a: 'b' } },
          spec: { containers: [{ name: 'main', image: 'example.com/none', env }] },
        },
      },
    })
  })
}
