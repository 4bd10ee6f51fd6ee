import { describe, expect, test } from 'vitest'
import { annotations } from '../../control/kubernetes/resources/names.ts'
import type { SliceTablet } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { PersistentVolume, PersistentVolumeClaim } from '../../kube/resources.ts'
import {
  byName,
  claimOf,
  clusterOf,
  running,
  seenOf,
  sliceOf,
  tabletOn,
  topicOf,
} from '../observed.fixture.ts'
import type { Observed } from '../observe/observed.ts'
import { nodesOf } from '../observe/volumes.ts'
import { replacementsOf, verdictOf, type Facts, type Verdict } from './replacement.ts'

/** A broker that is gone, whose data cannot come back, while all others are well. */
const lost: Facts = {
  isReady: false,
  isExcess: false,
  hasClaim: true,
  isGone: true,
  isLost: true,
  word: 'none',
  hasLastCopies: false,
  others: 'well',
}

describe('when a broker gets an empty volume', () => {
  test.each<[string, Partial<Facts>, Verdict]>([
    ['its data cannot come back, and others have them', {}, 'replace'],
    ['it serves', { isReady: true }, 'keep'],
    ['it serves, whatever was said', { isReady: true, word: 'with last copies' }, 'keep'],
    ['it is to go anyway', { isExcess: true }, 'keep'],
    ['its claim is being made anew', { hasClaim: false }, 'keep'],
    ['it has not been gone for replaceAfter', { isGone: false }, 'keep'],
    ['its data may come back', { isLost: false }, 'keep'],
    ['nobody else has what it had', { hasLastCopies: true }, 'last copies'],
    ['another one is copying', { others: 'behind' }, 'others first'],
    ['another one is gone, too', { others: 'away' }, 'others first'],
    ['another one is only just starting', { others: 'in turn' }, 'others first'],
    ['last copies go before others', { hasLastCopies: true, others: 'away' }, 'last copies'],
    ['given up: its data may come back', { word: 'replace', isLost: false }, 'replace'],
    ['given up: it was there a moment ago', { word: 'replace', isLost: false, isGone: false }, 'replace'],
    ['given up: nobody else has what it had', { word: 'replace', hasLastCopies: true }, 'last copies'],
    ['given up with last copies', { word: 'with last copies', hasLastCopies: true }, 'replace'],
    ['given up, while another one is copying', { word: 'replace', others: 'behind' }, 'replace'],
    ['given up, while another one is gone', { word: 'replace', others: 'away' }, 'replace'],
    ['given up, while another one starts', { word: 'with last copies', others: 'in turn' }, 'others first'],
  ])('%s', (_, facts, verdict) => expect(verdictOf({ ...lost, ...facts })).toBe(verdict))

  test('without the owner’s word: only where all speaks for it', () => {
    const bits = [true, false]
    const others = ['well', 'behind', 'away', 'in turn'] as const
    let replaced = 0
    for (const isReady of bits)
      for (const isGone of bits)
        for (const isLost of bits)
          for (const hasLastCopies of bits)
            for (const one of others) {
              const verdict = verdictOf({ ...lost, isReady, isGone, isLost, hasLastCopies, others: one })
              if (verdict === 'replace') replaced += 1
            }
    expect(replaced).toBe(1)
  })
})

const topic = topicOf('orders', 5, { tablets: 2, replication: 2 })

const inSync = (...replicas: number[]): SliceTablet => ({
  ...tabletOn(...replicas),
  isr: replicas.map(broker => ({ broker, incarnation: 1 })),
})

/** Broker 1 of three is gone with its volume, an hour after the beginning of 2026. */
function without(tablets: readonly SliceTablet[], more: Partial<Observed> = {}, said?: string): Observed {
  const slice = { ...sliceOf(topic, tablets) }
  const observed = running(clusterOf(), [0, 1, 2], {
    topics: byName([topic]),
    slices: byName([
      { ...slice, metadata: { ...slice.metadata, creationTimestamp: '2026-01-01T00:00:00Z' } },
    ]),
    ...more,
  })
  const pods = new Map(observed.pods)
  const pod = pods.get('events-broker-1-0')
  if (pod === undefined) throw new Error('no pod')
  const conditions = [{ type: 'Ready', status: 'False', lastTransitionTime: '2026-01-01T00:00:00Z' }] as never
  pods.set('events-broker-1-0', { ...pod, status: { ...pod.status, conditions } })
  const claims = new Map([...observed.claims].map(([name, claim]) => [name, aged(claim, said, name)]))
  return { ...observed, pods, claims, nowMs: Date.UTC(2026, 0, 1, 1) }
}

const aged = (
  claim: PersistentVolumeClaim,
  said: string | undefined,
  name: string,
): PersistentVolumeClaim => {
  const isIt = name === claimOf(1).metadata.name
  return {
    ...claim,
    metadata: {
      ...claim.metadata,
      creationTimestamp: '2025-12-01T00:00:00Z',
      ...(isIt && said !== undefined && { annotations: { [annotations.replaceVolume]: said } }),
    },
    ...(isIt && { status: { phase: 'Lost' } }),
  }
}

const found = (observed: Observed) =>
  replacementsOf(seenOf(observed)).map(({ member, verdict, lastCopies }) => [member.id, verdict, lastCopies])

describe('what was seen', () => {
  test('every tablet on it needs another broker that has it now', () => {
    expect(found(without([inSync(0, 1), inSync(2, 1)]))).toEqual([[1, 'replace', []]])
    expect(found(without([inSync(0, 1), inSync(1, 2)]))).toEqual([[1, 'last copies', ['orders-1']]])
    expect(found(without([inSync(0, 1), { ...inSync(1), replicas: [1, 2] }]))).toEqual([
      [1, 'last copies', ['orders-1']],
    ])
    // Broker 2 was in sync in a run that is over.
    const stale = { ...inSync(2, 1), isr: [{ broker: 2, incarnation: 0 }] }
    expect(found(without([stale]))).toEqual([[1, 'last copies', ['orders-0']]])
  })

  test('of what nobody serves another broker has a copy whose volume is older', () => {
    const kept = [inSync(0, 1)]
    expect(found(without(kept, { topics: new Map() }))).toEqual([[1, 'replace', []]])
    const observed = without(kept, { topics: new Map() })
    const claims = new Map(observed.claims)
    const claim = claims.get('events-broker-0')
    if (claim === undefined) throw new Error('no claim')
    const younger = { ...claim.metadata, creationTimestamp: '2026-01-01T00:30:00Z' }
    claims.set('events-broker-0', { ...claim, metadata: younger })
    expect(found({ ...observed, claims })).toEqual([[1, 'last copies', ['orders-0']]])
  })

  test('tablets whose slices were deleted may be on it', () => {
    const grown = { ...topic, status: { tablets: 70 } }
    expect(found(without([inSync(0, 1)], { topics: byName([grown]) }))).toEqual([
      [1, 'last copies', ['orders (its TabletSlices were deleted)']],
    ])
  })

  test('only the two words count', () => {
    const alone = [inSync(1)]
    expect(found(without(alone, {}, 'yes'))[0]?.[1]).toBe('last copies')
    expect(found(without(alone, {}, 'true'))[0]?.[1]).toBe('last copies')
    expect(found(without(alone, {}, 'with-last-copies'))[0]?.[1]).toBe('replace')
  })
})

test.each<[string, object, readonly string[] | undefined]>([
  ['one node', { matchExpressions: [host('In', ['a'])] }, ['a']],
  ['one of two nodes', { matchExpressions: [host('In', ['a', 'b'])] }, ['a', 'b']],
  ['the name of the Node', { matchFields: [{ ...host('In', ['a']), key: 'metadata.name' }] }, ['a']],
  ['any node but one', { matchExpressions: [host('NotIn', ['a'])] }, undefined],
  ['a zone', { matchExpressions: [{ ...host('In', ['a']), key: 'topology.kubernetes.io/zone' }] }, undefined],
  ['nothing', {}, undefined],
])('a volume that is bound to %s', (_, term, names) => {
  const volumeOn = (...nodeSelectorTerms: object[]) =>
    ({ spec: { nodeAffinity: { required: { nodeSelectorTerms } } } }) as unknown as PersistentVolume
  expect(nodesOf(volumeOn(term))).toEqual(names)
  expect(nodesOf(volumeOn(term, { matchExpressions: [host('In', ['c'])] }))).toEqual(names && [...names, 'c'])
})

function host(operator: string, values: readonly string[]) {
  return { key: 'kubernetes.io/hostname', operator, values }
}
