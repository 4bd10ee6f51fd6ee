import { expect, test } from 'vitest'
import type { KubeObject } from '../../kube/api.ts'
import { simWorld } from '../../test/sim/world.ts'
import { Copy } from './copy.ts'

const object = (resourceVersion: string, uid = 'u', cluster: string | undefined = 'c'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    namespace: 'n',
    name: 'x',
    uid,
    resourceVersion,
    ...(cluster !== undefined && { labels: { cluster } }),
  },
})
const clusterOf = ({ metadata }: KubeObject) => metadata.labels?.['cluster']

function open() {
  const { clock, world } = simWorld({ seed: 1 })
  return { clock, copy: new Copy<KubeObject>(world.clock, clusterOf) }
}

test('what watches tell is there, and is gone when they say so', () => {
  const { copy } = open()
  expect(copy.told({ before: undefined, after: object('1') })).toEqual(['c'])
  const before = copy.of('c')
  expect(copy.told({ before: object('1'), after: undefined })).toEqual(['c'])
  expect(copy.of('c').size).toBe(0)
  expect(before.size).toBe(1)
  expect(copy.clusters()).toEqual([])
})

test('an object that changes its cluster leaves the one and joins the other', () => {
  const { copy } = open()
  copy.told({ before: undefined, after: object('1') })
  expect(copy.told({ before: object('1'), after: object('2', 'u', 'd') })).toEqual(['c', 'd'])
  expect(copy.clusters()).toEqual(['d'])
  expect(copy.told({ before: object('2', 'u', 'd'), after: object('3', 'u', '') })).toEqual(['d', ''])
})

test('what we wrote is seen at once, and older news do not hide it', () => {
  const { copy } = open()
  copy.wrote(object('10'))
  copy.told({ before: undefined, after: object('9') })
  expect(copy.of('c').get('x')?.metadata.resourceVersion).toBe('10')
  copy.told({ before: object('9'), after: object('11') })
  expect(copy.of('c').get('x')?.metadata.resourceVersion).toBe('11')
})

test('a server that was taken back to an older state is believed', () => {
  const { copy } = open()
  copy.told({ before: undefined, after: object('10') })
  copy.wrote(object('12'))
  copy.told({ before: object('10'), after: object('9') })
  expect(copy.of('c').get('x')?.metadata.resourceVersion).toBe('9')
})

test('what we wrote and no watch ever tells of is forgotten', async () => {
  const { copy, clock } = open()
  copy.wrote(object('10'))
  await clock.runFor(29_000)
  expect(copy.dropUnseen()).toEqual([])
  await clock.runFor(2_000)
  expect(copy.dropUnseen()).toEqual(['c'])
  expect(copy.of('c').size).toBe(0)
})

test('what we had deleted is on its way out until it is gone; a successor is another one', () => {
  const { copy } = open()
  copy.told({ before: undefined, after: object('1') })
  copy.deleted(object('1'))
  expect(copy.of('c').get('x')?.metadata.deletionTimestamp).toBeDefined()
  copy.told({ before: object('1'), after: undefined })
  copy.told({ before: undefined, after: object('5', 'v') })
  copy.deleted(object('1'))
  expect(copy.of('c').get('x')?.metadata.deletionTimestamp).toBeUndefined()
  copy.told({ before: object('1'), after: undefined })
  expect(copy.of('c').size).toBe(1)
})
