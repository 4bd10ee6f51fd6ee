import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refusal } from '../base/refusals.ts'
import { checkTopicName, countedName } from './names.ts'

const refusalOf = (name: string): Refusal | undefined => {
  try {
    checkTopicName(name)
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

test.each(['a', 'A.b_c-9', '...', '__offsets', 'x'.repeat(249)])('%s may be a name', name => {
  expect(refusalOf(name)).toBeUndefined()
})

test.each([
  ['my topic!', '"my-topic"'],
  ['größer', '"gro-er"'],
  ['café', '"cafe"'],
  ['a/b\\c', '"a-b-c"'],
  ['x'.repeat(250), `"${'x'.repeat(249)}"`],
])('%s may not, but %s may', (name, nearest) => {
  expect(refusalOf(name)?.code).toBe('INVALID_TOPIC_EXCEPTION')
  expect(refusalOf(name)?.message.endsWith(`; try ${nearest}`)).toBe(true)
})

test.each(['', '.', '..', '!', '\u0000', '日本'])('%j may not, and nothing is like it', name => {
  expect(refusalOf(name)?.code).toBe('INVALID_TOPIC_EXCEPTION')
  expect(refusalOf(name)?.message).not.toContain('try')
})

test('what is told to try is a name, and the message stays short', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), name => {
      const message = refusalOf(name)?.message ?? ''
      const [, nearest] = /; try "(.*)"$/.exec(message) ?? []
      expect(nearest === undefined ? undefined : refusalOf(nearest)).toBeUndefined()
      expect(message.length).toBeLessThan(2_000)
    }),
  )
})

test('names that metrics could not tell apart', () => {
  expect(countedName('a.b_c')).toBe(countedName('a_b.c'))
  expect(countedName('a.b')).not.toBe(countedName('a-b'))
})
