import { expect, test } from 'vitest'
import { DataDirectoryRefused } from '../../broker/log/data-directory.ts'
import { explain } from '../failure.ts'
import { startFailure } from './start-failure.ts'

test('what the broker says at its start is a sentence', () => {
  expect(explain(startFailure(new DataDirectoryRefused('it is locked'))).text).toBe('stele: it is locked\n')
  expect(explain(startFailure(new Error('the port is in use'))).text).toBe('stele: the port is in use\n')
})

test('a bug keeps its stack', () => {
  expect(explain(startFailure(new TypeError('x is not a function'))).text).toMatch(/\n +at /)
})
