/** The checker rejects every history that it should, and no sound one. */
import { expect, test } from 'vitest'
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

test('of a deleted topic nothing is missed, and it may have nothing wrong either', () => {
  expect(complaintsOf([acknowledged(0, 'a'), { kind: 'deleted', tablet: 't' }])).toEqual([])
  const wrong = [read('r', held('x')), acknowledged(0, 'a'), { kind: 'deleted', tablet: 't' } as const]
  expect(complaintsOf(wrong)).toHaveLength(1)
})
