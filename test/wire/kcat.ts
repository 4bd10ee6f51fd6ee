/** kcat as the tests use it: one call produces, one reads a topic back with everything it can tell of a record. */
import { launch, succeed, type LaunchOptions, type Running } from './processes.ts'

export type Message = {
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** As kcat prints them: `name=value,name=value`. */
  readonly headers: string
}

// Lengths first, so that keys and values may hold any byte.
const format = String.raw`%p %o %T %K %S %h\n%k%s\n`

/** kcat's producer with `input` as its standard input. Throws when it does not end with exit code 0. */
export const produce = (
  kafka: string,
  topic: string,
  args: readonly string[],
  input: LaunchOptions['input'] = '',
): Promise<unknown> => succeed('kcat', ['-P', '-b', kafka, '-t', topic, ...args], { input })

/** Reads `topic` from its beginning to its end, or what `args` say (`-p`, `-o`, `-c`, …). */
export async function consume(
  kafka: string,
  topic: string,
  args: readonly string[] = ['-o', 'beginning', '-e'],
): Promise<Message[]> {
  // The end is noticed by an empty answer, for which the broker waits this long.
  const quick = ['-X', 'fetch.wait.max.ms=20']
  const outcome = await succeed('kcat', [
    '-C',
    '-q',
    '-b',
    kafka,
    '-t',
    topic,
    '-f',
    format,
    ...quick,
    ...args,
  ])
  return parse(outcome.stdout)
}

/** A consumer that stays; what it has printed so far is read with `messagesSoFar`. */
export const follow = (kafka: string, topic: string, args: readonly string[]): Running =>
  launch('kcat', ['-C', '-q', '-u', '-b', kafka, '-t', topic, '-f', format, ...args])

export const messagesSoFar = (running: Running): Message[] => parse(Buffer.from(running.stdout()))

/** The messages of one partition, in the order in which they came. */
export const ofPartition = (messages: readonly Message[], partition: number): Message[] =>
  messages.filter(message => message.partition === partition)

function parse(printed: Buffer): Message[] {
  const messages: Message[] = []
  let at = 0
  while (at < printed.length) {
    const lineEnd = printed.indexOf(0x0a, at)
    if (lineEnd < 0) break
    const [partition = '', offset = '', timestamp = '', keyLength = '', valueLength = '', ...headers] =
      printed.toString('utf8', at, lineEnd).split(' ')
    const keyEnd = lineEnd + 1 + Math.max(0, Number(keyLength))
    const valueEnd = keyEnd + Math.max(0, Number(valueLength))
    if (valueEnd >= printed.length) break
    messages.push({
      partition: Number(partition),
      offset: Number(offset),
      timestampMs: Number(timestamp),
      key: Number(keyLength) < 0 ? null : printed.subarray(lineEnd + 1, keyEnd),
      value: Number(valueLength) < 0 ? null : printed.subarray(keyEnd, valueEnd),
      headers: headers.join(' '),
    })
    at = valueEnd + 1
  }
  return messages
}
