import { describe, expect, test } from 'vitest'
import { printed } from './print.ts'

const page = (...records: object[]): Buffer =>
  Buffer.from(records.map(record => `${JSON.stringify(record)}\n`).join(''))
const text = (value: string | null, key: string | null = null) => ({ key, value, encoding: 'text' })
const base64 = (value: Buffer, key: Buffer | null = null) => ({
  key: key?.toString('base64') ?? null,
  value: value.toString('base64'),
  encoding: 'base64',
})
const values = { json: false, keySeparator: undefined }

describe('values', () => {
  test('are printed byte for byte, a newline behind each', () => {
    const raw = Buffer.from([0xff, 0x00, 0x0d])
    const { output, records } = printed(page(text('é'), base64(raw), text(''), text('z')), values, 10)
    expect(output).toEqual(Buffer.concat([Buffer.from('é\n'), raw, Buffer.from('\n\nz\n')]))
    expect(records).toBe(4)
  })

  test('come behind their keys when there is a separator; what is missing prints nothing', () => {
    const form = { json: false, keySeparator: '=' }
    const raw = Buffer.from([0xfe])
    const { output } = printed(page(text('v', 'k'), text(null, 'k'), text('v'), base64(raw, raw)), form, 10)
    expect(output).toEqual(
      Buffer.concat([Buffer.from('k=v\nk=\n=v\n'), raw, Buffer.from('='), raw, Buffer.from('\n')]),
    )
  })
})

test('JSON is handed on as it came', () => {
  const bytes = page(text('a'), base64(Buffer.from([255])))
  expect(printed(bytes, { json: true, keySeparator: undefined }, 10)).toEqual({ output: bytes, records: 2 })
})

test.each([true, false])('no more than asked for is printed (json: %s)', json => {
  const form = { json, keySeparator: undefined }
  const bytes = page(text('a'), text('b'), text('c'))
  expect(printed(bytes, form, 2)).toMatchObject({ records: 2 })
  expect(printed(bytes, form, 2).output.toString().split('\n')).toHaveLength(3)
  expect(printed(bytes, form, 0)).toEqual({ output: Buffer.alloc(0), records: 0 })
  expect(printed(Buffer.alloc(0), form, 5)).toEqual({ output: Buffer.alloc(0), records: 0 })
})
