import { expect, test } from 'vitest'
import type { KubeObject } from '../../kube/api.ts'
import { Copies } from './copies.ts'

const at = (resourceVersion: string, uid = 'u'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', namespace: 'n', uid, resourceVersion },
})

function copiesOf(first: KubeObject): Copies<KubeObject> {
  const copies = new Copies<KubeObject>()
  copies.watched({ before: undefined, after: first })
  return copies
}

test('a watch that is behind our own write changes nothing', () => {
  const copies = copiesOf(at('9'))
  expect(copies.written(at('11'))).toEqual({ before: at('9'), after: at('11') })
  expect(copies.watched({ before: at('9'), after: at('10') })).toBeUndefined()
  expect(copies.watched({ before: at('10'), after: at('11') })).toBeUndefined()
  expect(copies.get('a')).toEqual(at('11'))
  expect(copies.watched({ before: at('11'), after: at('100') })?.before).toEqual(at('11'))
})

test('an answer that comes after the watch told of more changes nothing', () => {
  const copies = copiesOf(at('12'))
  expect(copies.written(at('11'))).toBeUndefined()
  copies.watched({ before: at('12'), after: undefined })
  expect(copies.written(at('13'))).toBeUndefined()
  expect(copies.get('a')).toBeUndefined()
})

test('what we deleted does not come back by what was before, and another of its name does', () => {
  const copies = copiesOf(at('1'))
  expect(copies.deleted(at('1'))).toEqual({ before: at('1'), after: undefined })
  expect(copies.watched({ before: at('1'), after: at('2') })).toBeUndefined()
  expect(copies.watched({ before: at('2'), after: undefined })).toBeUndefined()
  expect(copies.watched({ before: undefined, after: at('4', 'v') })?.after).toEqual(at('4', 'v'))
})

test('a server that was taken back to an older state is believed', () => {
  const copies = copiesOf(at('10'))
  copies.written(at('12'))
  expect(copies.watched({ before: at('10'), after: at('9') })?.after).toEqual(at('9'))
  expect(copies.get('a')).toEqual(at('9'))
})

test('what we made is unseen until a watch tells of it, and goes when it is missing', () => {
  const copies = new Copies<KubeObject>()
  expect(copies.made(at('3'))).toEqual({ before: undefined, after: at('3') })
  expect(copies.isUnseen(at('3'))).toBe(true)
  copies.watched({ before: undefined, after: at('3') })
  expect(copies.isUnseen(at('3'))).toBe(false)
  expect(copies.made(at('4', 'v'))).toBeUndefined()
  expect(copies.missing(at('3'))).toEqual({ before: at('3'), after: undefined })
})
