/** What somebody deletes, or says last before it: records are not lost by it, and a topic never begins empty in the stead of an old one. */
import { expect, test } from 'vitest'
import { logTopics } from '../../../control/kubernetes/resources/log-topic.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import { namespace, Operated } from './operated.ts'

const withTopic = async (deletionPolicy: 'Retain' | 'Delete'): Promise<Operated> => {
  const all = new Operated()
  all.cluster()
  all.start()
  await all.converged()
  all.topic('orders', { tablets: 70, deletionPolicy })
  await all.converged()
  expect(all.kube.peekAll(tabletSlices)).toHaveLength(2)
  return all
}

const ready = (all: Operated) => all.topicNow('orders')?.status?.conditions?.[0]

test.each([0, 1])(
  'a TabletSlice that was deleted (%i) is not made again, empty; and comes back',
  async at => {
    const all = await withTopic('Retain')
    const slice = all.kube.peekAll(tabletSlices)[at]
    if (slice === undefined) throw new Error('no slice')
    const key = { namespace, name: slice.metadata.name }
    all.kube.set(tabletSlices, key, () => undefined)
    await all.clock.runFor(60_000)
    all.kill()
    all.start()
    all.topic('orders', { tablets: 140 })
    await all.clock.runFor(60_000)
    expect(all.kube.peekAll(tabletSlices)).toHaveLength(1)
    expect(ready(all)).toMatchObject({ status: 'False', reason: 'TabletsLost' })
    expect(all.topicNow('orders')?.status?.tablets).toBe(70)
    const { uid: _, resourceVersion: __, ...metadata } = slice.metadata
    all.kube.set(tabletSlices, key, () => ({ ...slice, metadata }))
    await all.converged()
    expect(ready(all)?.reason).toBe('Placed')
    expect(all.kube.peek(tabletSlices, key)?.tablets.slice(0, slice.tablets.length)).toEqual(slice.tablets)
  },
)

const remove = (all: Operated): void =>
  all.kube.set(logTopics, { namespace, name: 'orders' }, () => undefined)
const policies = (all: Operated) => all.kube.peekAll(tabletSlices).map(({ topic }) => topic.deletionPolicy)

test('a LogTopic that is deleted while the operator looks on takes its records along', async () => {
  const all = await withTopic('Delete')
  remove(all)
  await all.converged()
  expect(policies(all)).toEqual([])
})

test.each(['Retain', 'Delete'] as const)('the last word is heard, right before the end: %s', async last => {
  const all = await withTopic(last === 'Retain' ? 'Delete' : 'Retain')
  const { topicId } = all.topicNow('orders')?.status ?? {}
  all.topic('orders', { deletionPolicy: last })
  remove(all)
  await all.clock.runFor(60_000)
  expect(policies(all)).toEqual(last === 'Retain' ? ['Retain', 'Retain'] : [])
  expect(all.condition('Degraded')?.reason).toBe('Healthy')
  all.topic('orders', { tablets: 70, deletionPolicy: last })
  await all.converged()
  expect(all.topicNow('orders')?.status?.topicId === topicId).toBe(last === 'Retain')
})

test('a LogTopic of the name that is made at once serves again what was kept at last', async () => {
  const all = await withTopic('Delete')
  const { topicId } = all.topicNow('orders')?.status ?? {}
  all.topic('orders', { deletionPolicy: 'Retain' })
  remove(all)
  all.topic('orders', { tablets: 70, deletionPolicy: 'Retain' })
  await all.converged()
  expect(all.topicNow('orders')?.status?.topicId).toBe(topicId)
  expect(policies(all)).toEqual(['Retain', 'Retain'])
})

test.each(['no operator', 'a watch that lost its place'])(
  'of a LogTopic that was deleted beside %s the records are kept, and told until they are removed by hand',
  async beside => {
    const all = await withTopic('Delete')
    if (beside === 'no operator') all.kill()
    else {
      all.kube.cutWatches()
      all.kube.onCall = ({ client, verb }) =>
        client === 'operator' && verb === 'watch' ? { code: 410, reason: 'Expired' } : undefined
    }
    all.topic('orders', { deletionPolicy: 'Retain' })
    remove(all)
    if (beside === 'no operator') all.start()
    else {
      all.kube.compact()
      all.kube.onCall = undefined
    }
    await all.clock.runFor(120_000)
    expect(policies(all)).toEqual(['Delete', 'Delete'])
    expect(all.condition('Degraded')).toMatchObject({ status: 'True', reason: 'RecordsKept' })
    expect(all.condition('Degraded')?.message).toContain('the LogTopics of orders were deleted')
    for (const { metadata } of all.kube.peekAll(tabletSlices))
      all.kube.set(tabletSlices, { namespace, name: metadata.name }, () => undefined)
    await all.clock.runFor(30_000)
    expect(all.condition('Degraded')?.reason).toBe('Healthy')
  },
)
