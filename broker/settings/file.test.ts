import { expect, test } from 'vitest'
import { Refusal } from '../../base/refusals.ts'
import { readSettings } from './file.ts'
import { parseProperties } from './properties.ts'

const messageOf = (act: () => unknown): string => {
  try {
    act()
    return 'not refused'
  } catch (error) {
    if (error instanceof Refusal) return `${error.code}: ${error.message}`
    throw error
  }
}

const properties = [
  '# a comment = nothing',
  '  ! another',
  '',
  'a=1',
  'b : 2',
  'c 3',
  '\td\t=\tx = y ',
  'e=one, \\',
  '    two, \\',
  '    three',
  'f\\ g\\=h=1\\t\\u00fc\\\\',
  'empty=',
  'bare',
  '#last \\',
  'tail=1\\',
].join('\r\n')

test("reads what Java's properties are", () => {
  expect(parseProperties(properties)).toEqual([
    { name: 'a', value: '1', line: 4 },
    { name: 'b', value: '2', line: 5 },
    { name: 'c', value: '3', line: 6 },
    { name: 'd', value: 'x = y ', line: 7 },
    { name: 'e', value: 'one, two, three', line: 8 },
    { name: 'f g=h', value: '1\tü\\', line: 11 },
    { name: 'empty', value: '', line: 12 },
    { name: 'bare', value: '', line: 13 },
    { name: 'tail', value: '1', line: 15 },
  ])
})

test('words win over the file', () => {
  const text = 'num.partitions=3\nlog.retention.ms=5\nbroker.rack=east\n'
  const set = ['num.partitions=4', 'log.retention.hours=1', 'listeners=PLAINTEXT://a:1,HTTP://b:2']
  expect(readSettings({ file: { path: 'server.properties', text }, set })).toEqual({
    'num.partitions': '4',
    'log.retention.hours': '1',
    'broker.rack': 'east',
    listeners: 'PLAINTEXT://a:1,HTTP://b:2',
  })
  expect(readSettings({ set: [] })).toEqual({})
})

test('every mistake is told at once, with its place', () => {
  const text = '# mine\nnum.partitions=0\nnum.partitons=1\nlog.dirs=/data\nbroker.id=1\nbroker.id=2\n'
  const set = ['segment.bytes=100', 'nothing', '=1', 'broker.rack=a=b']
  expect(
    messageOf(() => readSettings({ file: { path: 'server.properties', text }, set })).split('\n'),
  ).toEqual([
    'INVALID_CONFIG: server.properties line 2: num.partitions must be a whole number of at least 1, not "0"',
    'server.properties line 3: "num.partitons" is not a setting of a broker; did you mean num.partitions?',
    'server.properties line 4: log.dirs is not a setting here: the data directory is given with --data',
    'server.properties line 6: broker.id is set twice',
    "--set segment.bytes=100: segment.bytes is a setting of the topic, not of the broker; the broker's is log.segment.bytes",
    '--set nothing: give it as NAME=VALUE',
    '--set =1: give it as NAME=VALUE',
  ])
})
