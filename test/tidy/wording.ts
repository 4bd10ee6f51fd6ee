import { createHash } from 'node:crypto'
import type { Source, TextFile } from './sources.ts'

const found = (path: string, where: string, what: RegExp): string[] =>
  [...where.matchAll(what)].map(match => `${path}: ${match[0].trim()}`)

export const anyTypes = ({ path, code }: Source): string[] =>
  found(path, code, /(?:[:<|&,=([]|\b(?:as|extends|keyof|readonly|is))\s*\bany\b(?!\s*[:(.?\w])/g)

export const switchedOffChecks = ({ path, comments }: Source): string[] =>
  found(path, comments, /@ts-(?:ignore|nocheck|expect-error(?! -- \w))\b/g)

export const skippedTests = ({ path, code }: Source): string[] =>
  found(path, code, /\b(?:test|it|describe|suite)\.(?:skip|only|todo|fails)\b/g)

export const postponed = ({ path, comments }: Source): string[] =>
  found(path, comments, /\b(?:TODO|FIXME|XXX|HACK)\b/g)

export const emptyNames = ({ path, code }: Source): string[] => [
  ...found(path, `/${path}`, /\/(?:utils?|helpers?|common|misc|managers?|services?)(?=[/.])/gi),
  ...found(path, `/${path}`, /[-/](?:manager|service|helper|util)s?\.ts$/gi),
  ...found(path, code, /\b(?:class|interface|type|function|const)\s+\w*(?:Manager|Service|Helper|Util)s?\b/g),
]

export const barrels = ({ path, code }: Source): string[] => found(path, code, /^\s*export\s*\*(?!\s*as\b)/gm)

const linesMax = 600

export function tooLong({ path, text }: TextFile): string[] {
  const lines = text.split('\n').length - 1
  return lines > linesMax ? [`${path} has ${lines} lines`] : []
}

/** A lock file that names one machine's registry installs nowhere else. */
export const registryNames = ({ path, text }: TextFile): string[] =>
  found(
    path,
    text,
    /"resolved"\s*:|^(?:@[\w-]+:)?registry\s*=|https?:\/\/[^\s"'/]*(?:registry|npmjs|verdaccio|artifactory|nexus)[^\s"'/]*/gm,
  )

/** A folder that exists on somebody's machine alone. */
export const machinePaths = ({ path, text }: TextFile): string[] => [
  ...found(path, text, /(?<![\w.~$}*/-])\/(?:home|root|Users|work)\/[\w.-]+/g),
  ...(path.endsWith('.ts') ? found(path, text, /(?<![\w.$}])\/tmp\/[\w.-]+/g) : []),
]

/** Numbered places in somebody's task list. */
export const taskNumbers = ({ path, text }: TextFile): string[] =>
  found(path, text, /\b(?:issue|ticket|task|milestone)s?\s+#?\d+\b/gi)

/** Names of tools and people that have no part in the product; hashed, so that they do not stand here either. */
const strangers = new Set([
  '053ea4804ef1',
  '168196d13381',
  '3ea125d0bff3',
  '487b91042c7c',
  '5d72436256ad',
  '60965168ce76',
  '7d3194f79e64',
  '94a168d2da57',
  'c70eca6b0f88',
  'c857d09db23e',
  'd298391b0743',
  'de2187af3fb0',
])

const hashOf = (word: string): string => createHash('sha256').update(word).digest('hex').slice(0, 12)

const judged = new Map<string, boolean>()

function isStranger(word: string): boolean {
  const known = judged.get(word)
  if (known !== undefined) return known
  const strange = strangers.has(hashOf(word))
  judged.set(word, strange)
  return strange
}

export const strangeWords = ({ path, text }: TextFile): string[] =>
  [...new Set(text.toLowerCase().match(/[a-z]+/g))].filter(isStranger).map(word => `${path}: ${word}`)
