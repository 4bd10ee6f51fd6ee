import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { agreed } from './agreed.ts'
import { explain, Interrupted } from './failure.ts'

/** Asks on a terminal where somebody presses these keys; the answer and what was shown. */
async function asked(keys: string, question = 'delete?') {
  const input = new PassThrough()
  const output = Object.assign(new PassThrough(), { isTTY: true })
  input.end(keys)
  const answer = await agreed(question, { input, output }).catch((error: unknown) => error)
  output.end()
  return { answer, shown: await text(output) }
}

test.each([
  ['y\r', true],
  ['YES\n', true],
  ['n\r', false],
  ['\r', false],
  ['yesterday\r', false],
  ['\u0004', false],
  ['', false],
])('%j is %s', async (keys, answer) => {
  expect((await asked(keys)).answer).toBe(answer)
})

test('Ctrl-C ends quietly, as a shell expects it', async () => {
  const { answer, shown } = await asked('y\u0003')
  expect(answer).toBeInstanceOf(Interrupted)
  expect(explain(answer)).toEqual({ text: '', exitCode: 130 })
  expect(shown).toMatch(/\n$/)
})

test('a question shows no control characters of names', async () => {
  expect((await asked('n\r', 'delete a\u001b[31m?')).shown).toContain('delete a\\u001b[31m?')
})
