import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encoder, type Shape } from './encode.ts'

type RecordJson = {
  key?: string
  value: string
  headers?: [string, string][]
  partition?: number
  encoding?: 'base64'
}

const records = (shape: Shape, input: string | Buffer): RecordJson[] => {
  const { ndjson, lines } = encoder(shape)(Buffer.from(input))
  const parsed = ndjson
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as RecordJson)
  expect(parsed).toHaveLength(lines)
  return parsed
}

describe('a line becomes a record', () => {
  test('with its bytes as text, quotes and all', () => {
    expect(records({}, 'a\n"b"\t\\\r\n\nlast')).toEqual([
      { value: 'a' },
      { value: '"b"\t\\\r' },
      { value: '' },
      { value: 'last' },
    ])
  })

  test('with what all records have', () => {
    const shape: Shape = {
      key: 'k"',
      header: [
        ['a', '1'],
        ['a', '2'],
      ],
      partition: 3,
    }
    const common = {
      key: 'k"',
      headers: [
        ['a', '1'],
        ['a', '2'],
      ],
      partition: 3,
    }
    expect(records(shape, 'x\ny\n')).toEqual([
      { value: 'x', ...common },
      { value: 'y', ...common },
    ])
  })

  test('with the key before the separator, none where there is no separator', () => {
    expect(records({ keySeparator: '::' }, 'k::v::w\n::v\nv\n')).toEqual([
      { key: 'k', value: 'v::w' },
      { key: '', value: 'v' },
      { value: 'v' },
    ])
  })

  test('in base64 when it is not UTF-8, key and headers too; its neighbours stay text', () => {
    const shape: Shape = { keySeparator: ':', header: [['h', 'é']] }
    const bad = Buffer.from([0x6b, 0x3a, 0xff, 0x00])
    const input = Buffer.concat([Buffer.from('é:1\n'), bad, Buffer.from('\nc:2')])
    expect(records(shape, input)).toEqual([
      { key: 'é', value: '1', headers: [['h', 'é']] },
      { key: 'aw==', value: '/wA=', encoding: 'base64', headers: [['h', 'w6k=']] },
      { key: 'c', value: '2', headers: [['h', 'é']] },
    ])
  })
})

test('every byte of every line arrives', () => {
  const bytes = fc.array(fc.oneof(fc.constantFrom(10, 58, 0xc3, 0xa9), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
  })
  fc.assert(
    fc.property(bytes, list => {
      const input = Buffer.from(list)
      const back = records({ keySeparator: ':' }, input).map(({ key, value, encoding }) => {
        const part = (text: string) => Buffer.from(text, encoding ?? 'utf8')
        return key === undefined ? part(value) : Buffer.concat([part(key), Buffer.from(':'), part(value)])
      })
      const joined = Buffer.concat(back.flatMap(line => [line, Buffer.from('\n')]))
      expect(joined).toEqual(input.at(-1) === 10 ? input : Buffer.concat([input, Buffer.from('\n')]))
    }),
  )
})
