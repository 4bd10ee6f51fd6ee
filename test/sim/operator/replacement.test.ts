/** Brokers whose volumes are lost, or whose nodes are: their copies are made again, and nothing that only they have is given up without a word of the owner. */
import { expect, test } from 'vitest'
import { annotations } from '../../../control/kubernetes/resources/names.ts'
import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import {
  events,
  leases,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
} from '../../../kube/resources.ts'
import { namespace, Operated } from './operated.ts'

type Shape = { readonly brokers?: number; readonly replication?: number; readonly zones?: readonly string[] }

/** Each broker on a node of its own, with a disk of that. */
async function placed({ brokers = 3, replication = 3, zones = ['a', 'b', 'c', 'd'] }: Shape = {}) {
  const all = new Operated(5, zones)
  all.kubelets.hasLocalVolumes = true
  all.kubelets.replicates = true
  all.cluster({ brokers, replaceAfter: '1m' })
  all.start()
  await all.converged()
  all.topic('orders', { tablets: 6, replication, deletionPolicy: 'Retain' })
  await all.converged()
  return all
}

const claimKey = (id: number) => ({ namespace, name: `events-broker-${id}` })
const claimOf = (all: Operated, id: number) => all.kube.peek(persistentVolumeClaims, claimKey(id))
const nodeOf = (all: Operated, id: number): string =>
  all.kube.peek(pods, { namespace, name: `events-broker-${id}-0` })?.spec?.nodeName ?? ''
const volumeOf = (all: Operated, id: number): string => claimOf(all, id)?.spec?.volumeName ?? ''
const removeNode = (all: Operated, name: string): void =>
  all.kube.set(nodes, { namespace: '', name }, () => undefined)
const removeVolume = (all: Operated, id: number): void =>
  all.kube.set(persistentVolumes, { namespace: '', name: volumeOf(all, id) }, () => undefined)
const tabletsOf = (all: Operated) => all.kube.peekAll(tabletSlices).flatMap(({ tablets }) => tablets)
const toldOf = (all: Operated, reason: string) =>
  all.kube.peekAll(events).filter(event => event.reason === reason)
const degraded = (all: Operated): string => all.condition('Degraded')?.message ?? ''
const uidsOf = (all: Operated) => [0, 1, 2].map(id => claimOf(all, id)?.metadata.uid)

/** `kubectl annotate pvc`, as the condition says it. */
function giveUp(all: Operated, id: number, word: 'true' | 'with-last-copies'): void {
  all.kube.set(
    persistentVolumeClaims,
    claimKey(id),
    now =>
      now && {
        ...now,
        metadata: {
          ...now.metadata,
          annotations: { ...now.metadata.annotations, [annotations.replaceVolume]: word },
        },
      },
  )
}

async function noMoreWrites(all: Operated): Promise<void> {
  const before = all.writes.length
  await all.clock.runFor(150_000)
  expect(all.writes.slice(before)).toEqual([])
}

/** All replicas are where they were, and in sync. */
async function isWhole(all: Operated, brokers = 3): Promise<void> {
  await all.converged()
  expect(all.ready).toBe(brokers)
  expect(tabletsOf(all).every(({ isr, replicas }) => isr.length === replicas.length)).toBe(true)
  expect(all.clusterNow()?.status?.tablets).toMatchObject({ underReplicated: 0, offline: 0, moving: 0 })
  expect(all.condition('Degraded')?.reason).toBe('Healthy')
}

const losses = {
  'the node is gone, and its disk with it': (all: Operated) => removeNode(all, nodeOf(all, 1)),
  'the volume is gone, and its claim is Lost': (all: Operated) => {
    removeVolume(all, 1)
    all.kubelets.crashing.add(1)
  },
}

test.each(Object.entries(losses))(
  '%s: after replaceAfter the broker gets an empty volume, and copies everything anew',
  async (how, lose) => {
    const all = await placed()
    const [before, places] = [uidsOf(all), tabletsOf(all).map(({ replicas }) => replicas)]
    const old = volumeOf(all, 1)
    lose(all)
    await all.clock.runFor(55_000)
    expect(uidsOf(all)).toEqual(before)
    await all.clock.runUntil(() => toldOf(all, 'VolumeReplaced').length > 0, 300_000)
    all.kubelets.crashing.clear()
    await isWhole(all)
    const after = uidsOf(all)
    expect(after.map((uid, id) => uid === before[id])).toEqual([true, false, true])
    expect(tabletsOf(all).map(({ replicas }) => replicas)).toEqual(places)
    expect(toldOf(all, 'VolumeReplaced')).toMatchObject([{ type: 'Warning' }])
    const kept = all.kube.peek(persistentVolumes, { namespace: '', name: old })
    if (how.startsWith('the node')) {
      expect(toldOf(all, 'VolumeReplaced')[0]?.note).toContain(`the PersistentVolume ${old} is kept as it is`)
      expect(kept).toMatchObject({
        spec: { persistentVolumeReclaimPolicy: 'Retain' },
        status: { phase: 'Released' },
      })
    }
    await noMoreWrites(all)
  },
)

test('a volume that was back empty counts for nothing until it has everything again', async () => {
  const all = await placed()
  const before = uidsOf(all)
  all.kubelets.crashing.add(1)
  await all.clock.runFor(5_000)
  all.kubelets.wipe(volumeOf(all, 1))
  all.kubelets.crashing.clear()
  await isWhole(all)
  expect(uidsOf(all)).toEqual(before)
})

test('a node that comes back in time keeps its volume, and so does one that is only silent', async () => {
  const all = await placed({ zones: ['a', 'b', 'c'] })
  const before = uidsOf(all)
  const name = nodeOf(all, 1)
  const node = all.kube.peek(nodes, { namespace: '', name })
  removeNode(all, name)
  await all.clock.runFor(40_000)
  all.kube.set(
    nodes,
    { namespace: '', name },
    () => node && { ...node, metadata: { name, labels: node.metadata.labels ?? {} } },
  )
  await isWhole(all)
  all.kubelets.silentNodes.add(name)
  await all.clock.runFor(250_000)
  expect(uidsOf(all)).toEqual(before)
  expect(degraded(all)).toContain('broker 1 has been gone for longer than spec.replaceAfter (1m)')
  expect(degraded(all)).toContain(
    'kubectl annotate pvc -n logs events-broker-1 stele.dev/replace-volume=true',
  )
  expect(toldOf(all, 'BrokerGone')).toHaveLength(1)
  await noMoreWrites(all)
  all.kubelets.silentNodes.clear()
  await isWhole(all)
})

test('what only one broker has is not given up; with the word of the owner it is, and its tablets stay offline', async () => {
  const all = await placed({ replication: 1 })
  const before = uidsOf(all)
  const mine = tabletsOf(all).filter(({ replicas }) => replicas.includes(1))
  expect(mine.length).toBeGreaterThan(0)
  removeNode(all, nodeOf(all, 1))
  await all.clock.runFor(200_000)
  expect(uidsOf(all)).toEqual(before)
  const remedy = 'kubectl annotate pvc -n logs events-broker-1 stele.dev/replace-volume=with-last-copies'
  expect(degraded(all)).toMatch(
    /^broker 1 is gone, its volume volume-\d is on the node node-., which is gone/,
  )
  expect(degraded(all)).toContain(remedy)
  expect(toldOf(all, 'LastCopies')[0]?.note).toContain(remedy)
  giveUp(all, 1, 'true')
  await all.clock.runFor(130_000)
  expect(uidsOf(all)).toEqual(before)
  giveUp(all, 1, 'with-last-copies')
  await all.clock.runUntil(() => all.ready === 3, 300_000)
  await all.clock.runFor(60_000)
  // Nothing begins empty in the name of what was there.
  expect(all.clusterNow()?.status?.tablets?.offline).toBe(mine.length)
  const now = tabletsOf(all).filter(({ replicas }) => replicas.includes(1))
  expect(now.map(({ isr, leader }) => [isr, leader])).toEqual(mine.map(({ isr, leader }) => [isr, leader]))
})

test('of several that are lost at once none is replaced, unless the owner gives them up: then one after the other', async () => {
  const all = await placed()
  const before = uidsOf(all)
  for (const id of [1, 2]) removeNode(all, nodeOf(all, id))
  await all.clock.runFor(200_000)
  expect(uidsOf(all)).toEqual(before)
  expect(degraded(all)).toContain('brokers 1, 2 have been gone for longer than spec.replaceAfter')
  const away: number[] = []
  all.kube.onChange(persistentVolumeClaims, ({ after }) => {
    if (after === undefined) away.push(all.ready)
  })
  giveUp(all, 1, 'true')
  giveUp(all, 2, 'true')
  await isWhole(all)
  expect(away).toEqual([1, 2])
})

test('a broker whose node is silent, and whose volume was given up, waits for its pod to stop', async () => {
  const all = await placed()
  const name = nodeOf(all, 1)
  all.kubelets.silentNodes.add(name)
  await all.clock.runFor(30_000)
  giveUp(all, 1, 'true')
  await all.clock.runUntil(() => degraded(all).includes('PodStuck'), 600_000)
  expect(degraded(all)).toContain(`when the node ${name} is off for good, delete the Node`)
  removeNode(all, name)
  await isWhole(all)
})

test('under Delete the volume goes as its StorageClass says', async () => {
  const all = await placed()
  all.cluster({ deletionPolicy: 'Delete' })
  await all.converged()
  const old = volumeOf(all, 1)
  all.kubelets.silentNodes.add(nodeOf(all, 1))
  await all.clock.runFor(30_000)
  giveUp(all, 1, 'true')
  await all.clock.runFor(30_000)
  all.kubelets.silentNodes.clear()
  await isWhole(all)
  expect(all.kube.peek(persistentVolumes, { namespace: '', name: old })).toBeUndefined()
  expect(toldOf(all, 'VolumeKept')).toEqual([])
})

test('a volume of a zone, and one of which nobody says anything, are waited for', async () => {
  const all = await placed()
  const before = uidsOf(all)
  all.kube.set(persistentVolumes, { namespace: '', name: volumeOf(all, 1) }, now => {
    const terms = [
      { matchExpressions: [{ key: 'topology.kubernetes.io/zone', operator: 'In', values: ['none'] }] },
    ]
    return now && { ...now, spec: { ...now.spec, nodeAffinity: { required: { nodeSelectorTerms: terms } } } }
  })
  all.kubelets.crashing.add(1)
  await all.clock.runFor(200_000)
  expect(uidsOf(all)).toEqual(before)
  all.kubelets.crashing.clear()
  await isWhole(all)
  all.kube.onCall = ({ client, plural }) =>
    client === 'operator' && plural === 'persistentvolumes' ? { code: 403, reason: 'Forbidden' } : undefined
  removeNode(all, nodeOf(all, 2))
  await all.clock.runFor(200_000)
  expect(uidsOf(all)).toEqual(before)
  expect(toldOf(all, 'BrokerGone').length).toBeGreaterThan(0)
  all.kube.onCall = undefined
  await isWhole(all)
})

test('a broker that comes back in the moment in which its claim was to go keeps it', async () => {
  const all = await placed()
  const before = uidsOf(all)
  const name = nodeOf(all, 1)
  const node = all.kube.peek(nodes, { namespace: '', name })
  removeNode(all, name)
  let came = false
  all.kube.onCall = ({ client, verb, plural }) => {
    // The last question before the claim goes: whether all is as it was seen.
    if (client !== 'operator' || verb !== 'get' || plural !== 'leases' || came) return undefined
    came = true
    all.kube.set(
      nodes,
      { namespace: '', name },
      () => node && { ...node, metadata: { name, labels: node.metadata.labels ?? {} } },
    )
    const lease = { namespace, name: 'events-broker-1' }
    all.kube.set(
      leases,
      lease,
      now =>
        now && {
          ...now,
          spec: { ...now.spec, renewTime: new Date(all.clock.nowMs()).toISOString() },
        },
    )
    return undefined
  }
  await all.clock.runUntil(() => came, 900_000)
  await isWhole(all)
  expect(uidsOf(all)).toEqual(before)
})
