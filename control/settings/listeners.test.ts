import { expect, test } from 'vitest'
import { advertised, parseListeners, withListener } from './listeners.ts'

test.each([
  ['', []],
  ['PLAINTEXT://localhost:9092', [{ door: 'kafka', host: 'localhost', port: 9092 }]],
  [
    ' http://:8080 , plaintext://[::1]:0 ',
    [
      { door: 'http', host: '', port: 8080 },
      { door: 'kafka', host: '::1', port: 0 },
    ],
  ],
  [
    'PLAINTEXT://:9092,EXTERNAL://:9094',
    [
      { door: 'kafka', host: '', port: 9092 },
      { door: 'external', host: '', port: 9094 },
    ],
  ],
])('%j are listeners', (text, listeners) => {
  expect(parseListeners(text)).toEqual(listeners)
})

test.each([
  [
    'localhost:9092',
    '"localhost:9092" does not begin with PLAINTEXT://, HTTP://, EXTERNAL:// or REPLICATION://',
  ],
  ['SSL://a:1', 'SSL is not served, only PLAINTEXT, HTTP, EXTERNAL and REPLICATION are'],
  ['PLAINTEXT://a:1,PLAINTEXT://b:2', 'PLAINTEXT stands there twice'],
  ['PLAINTEXT://a', '"a" is not HOST:PORT'],
  ['PLAINTEXT://a:65536', '"a:65536" is not HOST:PORT'],
  ['PLAINTEXT://::1:9092', '"::1:9092" is not HOST:PORT'],
  ['PLAINTEXT://a:1,', '"" does not begin with PLAINTEXT://, HTTP://, EXTERNAL:// or REPLICATION://'],
])('%j are none', (text, why) => {
  expect(parseListeners(text)).toBe(why)
})

test('one door moves, the other stays', () => {
  const both = 'PLAINTEXT://localhost:9092,HTTP://localhost:8080'
  expect(withListener(both, 'kafka', '[::]:0')).toBe('HTTP://localhost:8080,PLAINTEXT://[::]:0')
  expect(withListener('', 'http', ':80')).toBe('HTTP://:80')
  expect(() => withListener(both, 'http', '80')).toThrow('the http door must be at HOST:PORT, not "80"')
  expect(() => withListener('x', 'http', ':80')).toThrow('listeners "x"')
})

const at = (host: string) => ({
  listeners: [{ door: 'kafka' as const, host, port: 0 }],
  advertisedListeners: [],
})

test('clients are told what they can reach', () => {
  expect(advertised(at('example.test'), 'kafka', 4711)).toEqual({ host: 'example.test', port: 4711 })
  for (const host of ['', '0.0.0.0', '::']) {
    expect(advertised(at(host), 'kafka', 4711)).toEqual({ host: 'localhost', port: 4711 })
  }
  const told = {
    ...at(''),
    advertisedListeners: [{ door: 'kafka' as const, host: 'outside.test', port: 443 }],
  }
  expect(advertised(told, 'kafka', 4711)).toEqual({ host: 'outside.test', port: 443 })
})
