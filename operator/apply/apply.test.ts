import { expect, test } from 'vitest'
import { logTopics } from '../../control/kubernetes/resources/log-topic.ts'
import { tabletSlices } from '../../control/kubernetes/resources/tablet-slice.ts'
import { ApiError, type KubeApi, type KubeObject } from '../../kube/api.ts'
import { configMaps } from '../../kube/resources.ts'
import { SimKube } from '../../test/sim/kube.ts'
import { Seeded } from '../../test/sim/seeded.ts'
import { simWorld } from '../../test/sim/world.ts'
import { clusterOf, sliceOf, tabletOn, topicOf } from '../observed.fixture.ts'
import type { Step } from '../plan/step.ts'
import { configMap } from '../resources/configuration.ts'
import { apply } from './apply.ts'

function open() {
  const { clock, world } = simWorld({ seed: 1 })
  const kube = new SimKube({ clock: world.clock, random: new Seeded(1) })
  const wrote: KubeObject[] = []
  const deleted: KubeObject[] = []
  const told: string[] = []
  const through = (api: KubeApi, ...steps: Step[]) =>
    clock.finish(
      apply(steps, {
        api,
        cluster: clusterOf(),
        wrote: (_, object) => wrote.push(object),
        deleted: (_, object) => deleted.push(object),
        record: ({ reason }) => told.push(reason),
        signal: new AbortController().signal,
      }),
    )
  const run = (...steps: Step[]) => through(kube.client(), ...steps)
  return { kube, wrote, deleted, told, run, through }
}

const wanted = configMap(clusterOf(), 'a=1\n')
const key = { namespace: 'logs', name: wanted.metadata.name }
const event = { type: 'Normal', reason: 'Told', action: 'Tell', note: '' } as const
const applying: Step = { kind: 'apply', resource: configMaps, object: wanted, isNew: true, reason: '', event }

test('what is missing is made, its answer handed on, its event told', async () => {
  const { kube, run, wrote, told } = open()
  expect(await run(applying)).toEqual({ moved: true, stale: false, undefinedKind: false, refused: [] })
  expect(wrote).toEqual([kube.peek(configMaps, key)])
  expect(told).toEqual(['Told'])
})

test('what is not ours is left alone, also when it carries our label', async () => {
  const { kube, run, told } = open()
  const stranger = {
    ...wanted,
    metadata: { ...key, labels: { 'stele.dev/cluster': 'events' } },
    data: { mine: 'x' },
  }
  kube.set(configMaps, key, () => stranger)
  const { moved, refused } = await run(applying)
  expect(moved).toBe(false)
  expect(refused).toMatchObject([
    { reason: 'NotOurs', message: expect.stringContaining('ConfigMap events-config') as string },
  ])
  expect(kube.peek(configMaps, key)?.data).toEqual({ mine: 'x' })
  expect(told).toEqual([])
})

test('slices stay when the API server still has their LogTopic, whoever says that it is gone', async () => {
  const { kube, run, deleted } = open()
  kube.set(logTopics, { namespace: 'logs', name: 't' }, () => topicOf('t', 5))
  const uid = kube.peek(logTopics, { namespace: 'logs', name: 't' })?.metadata.uid ?? ''
  const { metadata, ...rest } = sliceOf(topicOf('t', 5), [tabletOn(0)])
  const place = { namespace: 'logs', name: metadata.name }
  kube.set(tabletSlices, place, () => ({ ...rest, metadata: place }))
  const slice = kube.peek(tabletSlices, place)?.metadata.uid ?? ''
  const removing = {
    kind: 'delete',
    resource: tabletSlices,
    key: place,
    uid: slice,
    unlessTopic: [uid],
    reason: '',
  } as const
  expect(await run(removing)).toMatchObject({ moved: false, stale: true })
  expect(kube.peek(tabletSlices, place)).toBeDefined()
  kube.set(logTopics, { namespace: 'logs', name: 't' }, () => undefined)
  expect(await run(removing)).toMatchObject({ moved: true, stale: false })
  expect(kube.peek(tabletSlices, place)).toBeUndefined()
  expect(deleted).toHaveLength(1)
})

test('a quota that is full is no missing right', async () => {
  const { kube, through } = open()
  const said = 'configmaps "events-config" is forbidden: exceeded quota: small, requested: count/configmaps=1'
  const full = Object.assign(Object.create(kube.client()) as KubeApi, {
    apply: () => Promise.reject(new ApiError(said, { code: 403, reason: 'Forbidden' })),
  })
  expect((await through(full, applying)).refused).toMatchObject([{ reason: 'Rejected' }])
})

test('what the API server refuses is told, what it cannot do now is thrown, what has changed is stale', async () => {
  const { kube, run } = open()
  kube.failNext({ code: 422, reason: 'Invalid' }, { verb: 'apply' })
  expect((await run(applying)).refused).toMatchObject([{ reason: 'Rejected' }])
  kube.failNext({ code: 403, reason: 'Forbidden' }, { verb: 'apply' })
  expect((await run(applying)).refused).toMatchObject([{ reason: 'Forbidden' }])
  kube.failNext({ code: 500 }, { verb: 'apply' })
  await expect(run(applying)).rejects.toThrow(ApiError)
  await run(applying)
  const patch = [{ op: 'test', path: '/data', value: 'other' }] as const
  expect(await run({ kind: 'patch', resource: configMaps, key, patch, reason: '' })).toEqual({
    moved: false,
    stale: true,
    undefinedKind: false,
    refused: [],
  })
  expect(await run({ kind: 'create', resource: configMaps, object: wanted, reason: '' })).toMatchObject({
    stale: true,
  })
  expect(await run({ kind: 'delete', resource: configMaps, key, uid: 'another', reason: '' })).toMatchObject({
    stale: true,
  })
})
