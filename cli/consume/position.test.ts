import { InvalidArgumentError } from 'commander'
import { expect, test } from 'vitest'
import { parsePosition } from './position.ts'

test.each([
  ['beginning', { kind: 'beginning' }],
  ['end', { kind: 'end' }],
  ['0', { kind: 'offset', offset: 0 }],
  ['4711', { kind: 'offset', offset: 4711 }],
  ['ms@1769846400000', { kind: 'time', ms: 1_769_846_400_000 }],
  ['2026-01-31T08:00Z', { kind: 'time', ms: 1_769_846_400_000 }],
  ['2026-01-31', { kind: 'time', ms: 1_769_817_600_000 }],
  ['2026-01-31T10:00+02:00', { kind: 'time', ms: 1_769_846_400_000 }],
])('%s is understood', (text, position) => expect(parsePosition(text)).toEqual(position))

test.each(['', '-1', '1.5', 'yesterday', '2026-13-01', 'ms@', '31.01.2026', '99999999999999999'])(
  '%s is not',
  text => expect(() => parsePosition(text)).toThrow(InvalidArgumentError),
)
