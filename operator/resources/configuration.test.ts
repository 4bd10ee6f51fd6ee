import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseProperties } from '../../broker/settings/properties.ts'
import { propertiesText } from './configuration.ts'

test('settings are written in order, whatever their type', () => {
  expect(propertiesText({ b: true, a: 1, c: 'x' })).toBe('a=1\nb=true\nc=x\n')
  expect(propertiesText(undefined)).toBe('')
})

test('brokers read the value that was written', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), value => {
      fc.pre(!['\f', '\v', '\0'].some(odd => value.includes(odd)))
      expect(parseProperties(propertiesText({ name: value }))).toMatchObject([{ name: 'name', value }])
    }),
  )
})
