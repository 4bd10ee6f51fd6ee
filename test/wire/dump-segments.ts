/**
 * Kafka's DumpLogSegments over a broker's files: the cheapest proof that they are right. In: the files of a partition. Out: what the tool read in them,
 * and everything it had to say against them.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { java } from './java.ts'

/** The log and index files of partition 0, in the order of their offsets. */
export async function filesOfPartition(data: string, topic: string): Promise<string[]> {
  const all = await readdir(data, { recursive: true })
  return all
    .filter(path => path.split('/').at(-2)?.startsWith(`${topic}-0`))
    .filter(path => /\.(log|index|timeindex)$/.test(path))
    .sort()
    .map(path => join(data, path))
}

export type Dump = {
  complaints: string[]
  offsets: number[]
  /** Undefined for a tombstone. */
  values: (string | undefined)[]
  codecs: Set<string>
  producers: Set<string>
  /** How many batches have a delete horizon. */
  horizons: number
  /** How many times offsets go on behind a hole: no fault in a compacted log. */
  holes: number
}

const dumper = 'org.apache.kafka.tools.DumpLogSegments'

/** Everything Kafka's tool read, and every line of it that is neither a batch, a record nor an index entry. */
export async function dumpSegments(files: readonly string[]): Promise<Dump> {
  const { stdout, stderr } = await java(dumper, [
    '--deep-iteration',
    '--print-data-log',
    '--files',
    files.join(','),
  ])
  const dump: Dump = {
    complaints: [],
    offsets: [],
    values: [],
    codecs: new Set(),
    producers: new Set(),
    horizons: 0,
    holes: 0,
  }
  const printed = (stdout.toString() + stderr).replaceAll(firstOfSegment, '').replaceAll(holes, found => {
    dump.holes += found.split('\n').length - 2
    return ''
  })
  for (const line of printed.split('\n')) {
    const record = /^\| offset: (\d+) .*?(?: payload: (.*))?$/.exec(line)
    const batch = /^baseOffset: .* producerId: (-?\d+) .* compresscodec: (\w+) .* isvalid: true$/.exec(line)
    if (record) {
      dump.offsets.push(Number(record[1]))
      dump.values.push(record[2])
    } else if (batch) {
      dump.producers.add(batch[1] ?? '')
      dump.codecs.add((batch[2] ?? '').toLowerCase())
      if (/deleteHorizonMs: OptionalLong\[\d+\]/.test(line)) dump.horizons++
    } else if (!expectedLine.test(line)) {
      dump.complaints.push(line)
    }
  }
  return dump
}

// The tool expects each file to begin at offset 0, also of Kafka's own segments: a jump to the file's own base is none.
const firstOfSegment = /^Non-consecutive offsets in \S*\/0*(\d+)\.log\n {2}-1 is followed by \1\n(?! )/gm
const holes = /^Non-consecutive offsets in \S+\n(?: {2}-?\d+ is followed by \d+\n)+/gm
const expectedLine =
  /^(|Dumping \S+|\S+index is empty\.|Log starting offset: \d+|offset: \d+ position: \d+|timestamp: -?\d+ offset: \d+)$/

/** The check that Kafka itself makes at start, and that each entry points at its batch. */
export async function expectSoundIndexes(files: readonly string[]): Promise<void> {
  const indexes = files.filter(file => !file.endsWith('.log')).join(',')
  const checked = await java(dumper, ['--index-sanity-check', '--files', indexes])
  expect(checked.stdout.toString()).toMatch(/passed sanity check/)
  expect(checked.stdout.toString()).not.toMatch(/corrupt|mismatch|invalid/i)
  const verified = await java(dumper, ['--verify-index-only', '--files', indexes])
  expect(verified.stdout.toString()).not.toMatch(/mismatch|not found|out of order/i)
}
