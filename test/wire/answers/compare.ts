/**
 * Answers as lines of text, and two sets of answers field by field. A line is a question, the versions that were answered alike and the
 * answer as JSON. What always holds: what was written is read back as it was.
 */
import { identityOf } from './names.ts'

export type Asked = { readonly question: string; readonly version: number; readonly answer: unknown }

/** One field of one answer in which two brokers differ; what one of them does not have is undefined. */
export type Difference = {
  readonly question: string
  readonly versions: readonly number[]
  readonly field: string
  readonly kafka: string | undefined
  readonly ours: string | undefined
}

export function written(asked: readonly Asked[]): string {
  const lines = new Map<string, { question: string; versions: number[]; answer: string }>()
  for (const { question, version, answer } of asked) {
    const text = JSON.stringify(answer)
    const line = lines.get(`${question} ${text}`) ?? { question, versions: [], answer: text }
    line.versions.push(version)
    lines.set(`${question} ${text}`, line)
  }
  return [...lines.values()]
    .map(({ question, versions, answer }) => `${question} (${ranges(versions)}): ${answer}\n`)
    .join('')
}

export const read = (text: string): Asked[] => text.trimEnd().split('\n').flatMap(readLine)

function readLine(line: string): Asked[] {
  const parts = /^(?<question>.*?) \((?<versions>[-\d, ]+)\): (?<answer>.*)$/s.exec(line)?.groups
  if (parts === undefined) throw new Error(`no answer: ${line}`)
  const answer: unknown = JSON.parse(parts['answer'] ?? '')
  return (parts['versions'] ?? '').split(', ').flatMap(range => {
    const [from = 0, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => ({
      question: parts['question'] ?? '',
      version: from + i,
      answer,
    }))
  })
}

/** Everything in which the answers differ, those of several versions together. A question that only one was asked is a difference. */
export function differences(kafka: readonly Asked[], ours: readonly Asked[]): Difference[] {
  const found = new Map<string, Difference & { versions: number[] }>()
  const [there, here] = [byQuestion(kafka), byQuestion(ours)]
  for (const key of new Set([...there.keys(), ...here.keys()])) {
    const [a, b] = [there.get(key), here.get(key)]
    const { question, version } = (a ?? b) as Asked
    compare(a?.answer, b?.answer, '', (field, x, y) => {
      const [left, right] = [JSON.stringify(x), JSON.stringify(y)]
      const same = JSON.stringify([question, field, left, right])
      const known = found.get(same) ?? { question, versions: [], field, kafka: left, ours: right }
      known.versions.push(version)
      found.set(same, known)
    })
  }
  return [...found.values()]
}

type Tell = (field: string, kafka: unknown, ours: unknown) => void

/** Field by field; items of lists are those of the same identity. What only one has is one difference, whatever is in it. */
function compare(a: unknown, b: unknown, path: string, tell: Tell): void {
  if (Array.isArray(a) && Array.isArray(b)) compareParts(itemsOf(a), itemsOf(b), path, tell)
  else if (isFields(a) && isFields(b)) {
    const fields = (value: object) =>
      new Map(
        Object.entries(value).map(([name, field]) => [path === '' ? name : `.${name}`, field as unknown]),
      )
    compareParts(fields(a), fields(b), path, tell)
  } else if (JSON.stringify(a) !== JSON.stringify(b)) tell(path, a, b)
}

function compareParts(
  a: ReadonlyMap<string, unknown>,
  b: ReadonlyMap<string, unknown>,
  path: string,
  tell: Tell,
): void {
  for (const name of new Set([...a.keys(), ...b.keys()])) compare(a.get(name), b.get(name), path + name, tell)
}

const isFields = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function itemsOf(list: readonly unknown[]): Map<string, unknown> {
  const seen = new Map<string, number>()
  return new Map(
    list.map(item => {
      const identity = identityOf(item)
      const times = (seen.get(identity) ?? 0) + 1
      seen.set(identity, times)
      return [`[${identity}${times > 1 ? ` #${times}` : ''}]`, item]
    }),
  )
}

export const told = ({ question, versions, field, kafka, ours }: Difference): string =>
  `${question} (${ranges(versions)}) ${field}: Kafka ${short(kafka)}, we ${short(ours)}`

const short = (value = 'nothing'): string => (value.length > 200 ? `${value.slice(0, 200)}…` : value)

const byQuestion = (asked: readonly Asked[]): Map<string, Asked> =>
  new Map(asked.map(one => [`${one.version} ${one.question}`, one]))

/** 0, 1, 2, 5 as 0-2, 5. */
export function ranges(versions: readonly number[]): string {
  const runs: number[][] = []
  for (const version of [...new Set(versions)].sort((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last?.at(-1) === version - 1) last.push(version)
    else runs.push([version])
  }
  return runs.map(run => (run.length > 1 ? `${run[0]}-${run.at(-1)}` : `${run[0]}`)).join(', ')
}
