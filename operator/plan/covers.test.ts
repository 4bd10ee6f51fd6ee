import { expect, test } from 'vitest'
import { covers } from './covers.ts'

test.each<[string, unknown, unknown]>([
  ['what the server adds', { a: 1, b: 2 }, { a: 1 }],
  ['a quantity written otherwise', { cpu: '500m' }, { cpu: '0.5' }],
  ['what is empty and was dropped', {}, { emptyDir: {}, list: [], text: '', off: false }],
  ['more members of a list with names', [{ name: 'x' }, { name: 'a', v: 1, more: 1 }], [{ name: 'a', v: 1 }]],
  [
    'more owners',
    [
      { uid: '2', kind: 'A', name: 'n' },
      { uid: '1', kind: 'A', name: 'n' },
    ],
    [{ uid: '1', kind: 'A', name: 'n' }],
  ],
])('%s does not matter', (_, live, wanted) => {
  expect(covers(live, wanted)).toBe(true)
})

test.each<[string, unknown, unknown]>([
  ['another value', { a: 2 }, { a: 1 }],
  ['a missing value', {}, { a: 1 }],
  ['another length of a list', ['a', 'b'], ['a']],
  ['another order of a list', ['b', 'a'], ['a', 'b']],
  ['a member that is missing', [{ name: 'b' }], [{ name: 'a' }]],
  [
    'one more subject',
    [
      { kind: 'User', name: 'u' },
      { kind: 'User', name: 'v' },
    ],
    [{ kind: 'User', name: 'u' }],
  ],
  ['a rule that is gone', [{}], [{ ports: [{ port: 1 }] }]],
  ['a switch that was turned on', { off: true }, { off: false }],
  ['a list in place of an object', [], { a: 1 }],
])('%s matters', (_, live, wanted) => {
  expect(covers(live, wanted)).toBe(false)
})
