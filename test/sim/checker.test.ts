/** The checker rejects every history that it should, and no sound one. */
import { describe, expect, test } from 'vitest'
import { complaintsOf, type Held, type Told } from './checker.ts'

const held = (...values: string[]): Held[] => values.map((value, offset) => ({ offset, value }))
const acknowledged = (baseOffset: number, ...values: string[]): Told => ({
  kind: 'acknowledged',
  tablet: 't',
  baseOffset,
  values,
})
const read = (reader: string, records: readonly Held[]): Told => ({
  kind: 'read',
  tablet: 't',
  reader,
  records,
})
const holds = (run: string, ...values: string[]): Told => ({
  kind: 'holds',
  tablet: 't',
  run,
  highWatermark: values.length,
  records: held(...values),
})
const latest = (reader: string, offset: number): Told => ({ kind: 'latest', tablet: 't', reader, offset })
const mark = (run: string, highWatermark: number): Told => ({ kind: 'mark', tablet: 't', run, highWatermark })
const leads = (run: string, epoch: number): Told => ({ kind: 'leads', tablet: 't', run, epoch })

const sound: readonly Told[] = [
  leads('0/1', 0),
  acknowledged(0, 'a', 'b'),
  mark('0/1', 1),
  mark('0/1', 2),
  read('r', held('a')),
  leads('1/1', 1),
  acknowledged(2, 'c'),
  read('r', held('a', 'b', 'c').slice(1)),
  holds('0/2', 'a', 'b', 'c'),
  holds('1/1', 'a', 'b', 'c'),
]

test('a sound history is not complained about', () => {
  expect(complaintsOf(sound)).toEqual([])
})

test.each<[string, readonly Told[], RegExp]>([
  ['an acknowledged record that is nowhere', [...sound, acknowledged(3, 'd')], /d was acknowledged at 3/],
  [
    'one that a replica lacks',
    [acknowledged(0, 'a'), holds('0/1', 'a'), holds('1/1')],
    /1\/1 does not hold it/,
  ],
  [
    'another value where one was acknowledged',
    [acknowledged(0, 'a'), holds('0/1', 'b')],
    /offset 0 of t is a and b/,
  ],
  ['replicas that differ', [holds('0/1', 'a'), holds('1/1', 'b')], /offset 0 of t is a and b/],
  ['replicas that end elsewhere', [holds('0/1', 'a'), holds('1/1', 'a', 'b')], /end at 1 and 2/],
  ['a reader that saw something else', [read('r', held('x')), holds('0/1', 'a')], /offset 0 of t is x and a/],
  [
    'a step back',
    [read('r', held('a')), read('r', held('a')), holds('0/1', 'a')],
    /got offset 0 of t where 1 was due/,
  ],
  [
    'a skip',
    [read('r', held('a')), read('r', [{ offset: 2, value: 'c' }]), holds('0/1', 'a', 'b', 'c')],
    /where 1 was due/,
  ],
  ['a record twice', [holds('0/1', 'a', 'b', 'a')], /a stands in t again, at 2/],
  ['a high watermark that goes back', [mark('0/1', 5), mark('0/1', 4)], /went from 5 to 4/],
  ['two leaders of one epoch', [leads('0/1', 3), leads('1/1', 3)], /led by 0\/1 and by 1\/1/],
  ['one that led on after a restart', [leads('0/1', 3), leads('0/2', 3)], /led by 0\/1 and by 0\/2/],
  [
    'a skip at the beginning',
    [read('r', held('a', 'b').slice(1)), holds('0/1', 'a', 'b')],
    /got offset 1 of t where 0 was due/,
  ],
  ['an end that goes back', [latest('r', 3), latest('r', 2)], /t ends at 2, and at 3 before/],
  [
    'another number of bytes',
    [
      { ...holds('0/1', 'a'), batches: [{ baseOffset: 0, sum: 7 }] } as Told,
      { ...holds('1/1', 'a'), batches: [{ baseOffset: 0, sum: 8 }] } as Told,
    ],
    /the batch at 0 of t has other bytes at 1\/1/,
  ],
  [
    'a reader that never got to the end',
    [read('r', held('a')), holds('0/1', 'a', 'b')],
    /up to 1, and it ends at 2/,
  ],
  [
    'a hole',
    [
      {
        kind: 'holds',
        tablet: 't',
        run: '0/1',
        highWatermark: 3,
        records: [
          { offset: 0, value: 'a' },
          { offset: 2, value: 'c' },
        ],
      },
    ],
    /holds 2 records/,
  ],
])('%s is complained about', (_what, history, complaint) => {
  expect(complaintsOf(history).join('; ')).toMatch(complaint)
})

test('what was cleared may be gone, and no more', () => {
  const cleared: Told = { kind: 'cleared', tablet: 't', below: 1 }
  const rest: Told = {
    kind: 'holds',
    tablet: 't',
    run: '0/1',
    highWatermark: 3,
    records: held('a', 'b', 'c').slice(1),
  }
  const moved: Told = { kind: 'moved', tablet: 't', reader: 'r', to: 1 }
  const history = [
    acknowledged(0, 'a', 'b', 'c'),
    cleared,
    moved,
    read('r', held('a', 'b', 'c').slice(1)),
    rest,
  ]
  expect(complaintsOf(history)).toEqual([])
  expect(complaintsOf(history.filter(one => one !== cleared)).join('; ')).toMatch(
    /nobody wanted that.*a was acknowledged/,
  )
})

describe('of a compacted tablet', () => {
  const compacted: Told = { kind: 'compacted', tablet: 't' }
  const keyed = (offset: number, key: string): Held => ({ offset, value: `v${offset}`, key })
  /** The first `total` records, of keys in turn, and of them those at `offsets`. */
  const left = (run: string, ...offsets: number[]): Told => ({
    kind: 'holds',
    tablet: 't',
    run,
    highWatermark: 4,
    records: offsets.map(at => keyed(at, at % 2 === 0 ? 'x' : 'y')),
  })
  const all: Told = {
    kind: 'acknowledged',
    tablet: 't',
    baseOffset: 0,
    values: ['v0', 'v1', 'v2', 'v3'],
    keys: ['x', 'y', 'x', 'y'],
  }
  const reads = (...offsets: number[]): Told =>
    read(
      'r',
      offsets.map(at => keyed(at, at % 2 === 0 ? 'x' : 'y')),
    )

  test('what has something newer behind it may be gone, and be passed over by readers', () => {
    const one = [
      compacted,
      all,
      reads(1, 2, 3),
      left('0/1', 2, 3),
      left('1/1', 0, 1, 2, 3),
      left('2/1', 1, 2, 3),
    ]
    expect(complaintsOf(one)).toEqual([])
    expect(complaintsOf(one.filter(told => told !== compacted))).not.toEqual([])
  })

  test.each<[string, readonly Told[], RegExp]>([
    [
      'the newest record of a key',
      [left('0/1', 1, 3)],
      /v2 was acknowledged at 2 of t, 0\/1 does not hold it/,
    ],
    ['the newest of all', [left('0/1', 0, 1, 2)], /v3 was acknowledged.*and not the last/],
    ['what a reader is not given', [reads(0, 1, 3), left('0/1', 2, 3)], /got offset 3 of t where 2 was due/],
    ['a step back', [reads(0, 1, 2, 3), reads(2, 3), left('0/1', 2, 3)], /got offset 2 of t where 4 was due/],
    [
      'another newest record',
      [left('0/1', 2, 3), { ...left('1/1', 2, 3), highWatermark: 3 } as Told],
      /the replicas of t know other newest records/,
    ],
    [
      'another value',
      [{ ...left('0/1', 2), records: [{ offset: 3, value: 'w', key: 'y' }] } as Told],
      /is v3 and w/,
    ],
    ['everything', [], /nobody holds t/],
  ])('%s is missed', (_what, history, complaint) => {
    expect(complaintsOf([compacted, all, ...history]).join('; ')).toMatch(complaint)
  })
})

test('what a leader acknowledged alone may be gone, and all have the same in the end', () => {
  const loose: Told = { kind: 'best effort', tablet: 't' }
  const lost = [loose, acknowledged(0, 'a'), read('r', held('x', 'y')), mark('0/1', 2), mark('0/1', 1)]
  expect(complaintsOf([...lost, holds('0/1', 'b'), holds('1/1', 'b')])).toEqual([])
  expect(complaintsOf([...lost, holds('0/1', 'b'), holds('1/1', 'c')]).join()).toMatch(/is b and c/)
  expect(complaintsOf([loose, leads('0/1', 3), leads('1/1', 3), holds('0/1')])).toHaveLength(1)
})

test('of a deleted topic nothing is missed, and it may have nothing wrong either', () => {
  expect(complaintsOf([acknowledged(0, 'a'), { kind: 'deleted', tablet: 't' }])).toEqual([])
  const wrong = [read('r', held('x')), acknowledged(0, 'a'), { kind: 'deleted', tablet: 't' } as const]
  expect(complaintsOf(wrong)).toHaveLength(1)
})
