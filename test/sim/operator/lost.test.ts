/** What somebody deletes, or says last before it: records are not lost by it, and a topic never begins empty in the stead of an old one. */
import { expect, test } from 'vitest'
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
