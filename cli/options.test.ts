import { InvalidArgumentError } from 'commander'
import { describe, expect, test } from 'vitest'
import { hostAndPort, nameAndValue, pair, serverUrl, wholeNumber } from './options.ts'

const refused = InvalidArgumentError

describe('a whole number', () => {
  test('counts from its least', () => {
    expect(wholeNumber(1)('12')).toBe(12)
    for (const text of ['0', '-1', '1.5', '1e3', '', ' 1', '99999999999999999999'])
      expect(() => wholeNumber(1)(text)).toThrow(refused)
  })
})

describe('name=value', () => {
  test('is split at the first equals sign and gathered', () => {
    expect(nameAndValue('b=2', nameAndValue('a=1=1', undefined))).toEqual({ a: '1=1', b: '2' })
    expect(nameAndValue('a=', { a: '1' })).toEqual({ a: '' })
  })
  test('keeps order and repeats as pairs', () => {
    expect(pair('a=2', pair('a=1', undefined))).toEqual([
      ['a', '1'],
      ['a', '2'],
    ])
  })
  test('needs a name', () => {
    for (const text of ['a', '=1', '']) expect(() => pair(text, undefined)).toThrow(refused)
  })
})

describe('addresses', () => {
  test.each(['localhost:9092', '0.0.0.0:0', ':8080', '[::1]:80'])('%s is one to listen on', text =>
    expect(hostAndPort(text)).toBe(text),
  )
  test.each(['localhost', '9092', 'a:b', 'a:70000', '::1:80', 'http://a:1'])('%s is none', text =>
    expect(() => hostAndPort(text)).toThrow(refused),
  )
  test('a server needs no scheme, and empty is the default', () => {
    expect(serverUrl('broker:8080').href).toBe('http://broker:8080/')
    expect(serverUrl('https://broker/stele').href).toBe('https://broker/stele')
    expect(serverUrl('').href).toBe('http://localhost:8080/')
    for (const text of ['ftp://a', 'http://', 'a b']) expect(() => serverUrl(text)).toThrow(refused)
  })
})
