import { expect, test } from 'vitest'
import { Refusal } from '../../base/refusals.ts'
import { DataDirectoryRefused } from '../../broker/log/data-directory.ts'
import { explain } from '../failure.ts'
import { startFailure } from './start-failure.ts'

test('what the broker says at its start is a sentence', () => {
  expect(explain(startFailure(new DataDirectoryRefused('it is locked'))).text).toBe('stele: it is locked\n')
  expect(explain(startFailure(new Error('the port is in use'))).text).toBe('stele: the port is in use\n')
})

test('what is wrong with control.json says itself what to do', () => {
  const refused = new Refusal('KAFKA_STORAGE_ERROR', 'control.json cannot be used. Put back a good copy.')
  expect(explain(startFailure(refused)).text).toBe(`stele: ${refused.message}\n`)
})

test('a bug keeps its stack', () => {
  expect(explain(startFailure(new TypeError('x is not a function'))).text).toMatch(/\n +at /)
})
