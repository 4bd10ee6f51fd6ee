/** What a whole comparison found, as it is kept; and the least, the middle and the most of it, and ratios. Computes, and touches nothing. */
import type { CaseResult, Figure, QuestionResult } from './rounds.ts'

export type Results = {
  readonly name: string
  /** ISO 8601. */
  readonly date: string
  readonly rounds: number
  readonly warmUps: number
  readonly seed: number
  readonly quick: boolean
  readonly machine: Readonly<Record<string, string>>
  /** Version of each peer, or why it is missing. */
  readonly peers: readonly { readonly name: string; readonly version?: string; readonly missing?: string }[]
  readonly questions: readonly QuestionResult[]
}

export type Spread = { readonly min: number; readonly median: number; readonly max: number }

/** The peer that all others are compared with. */
export const ours = 'Stele'
/** The peer that what is wanted is said of. */
const reference = 'Kafka'

export function spreadOf({ samples }: CaseResult, peer: string, figure: string): Spread | undefined {
  const sorted = samples
    .filter(sample => sample.peer === peer)
    .map(({ figures }) => figures[figure])
    .filter(value => value !== undefined)
    .toSorted((a, b) => a - b)
  const [min] = sorted
  const max = sorted.at(-1)
  const low = sorted[(sorted.length - 1) >> 1]
  const high = sorted[sorted.length >> 1]
  if (min === undefined || max === undefined || low === undefined || high === undefined) return undefined
  return { min, median: (low + high) / 2, max }
}

/** Our median divided by the peer's; undefined when a tool was too coarse to see the peer's at all. */
export function ratioTo(of: CaseResult, peer: string, figure: string): number | undefined {
  const [mine, theirs] = [spreadOf(of, ours, figure), spreadOf(of, peer, figure)]
  if (mine === undefined || theirs === undefined || theirs.median === 0) return undefined
  return mine.median / theirs.median
}

export type Verdict = { readonly wanted: string; readonly kept: boolean | undefined }

/** What is wanted of a figure and whether it came true; `kept` is undefined when that cannot be told. */
export function verdictOn(of: CaseResult, name: string, { better, wanted }: Figure): Verdict | undefined {
  if (wanted === undefined) return undefined
  const ratio = ratioTo(of, reference, name)
  const kept = ratio === undefined ? undefined : better === 'more' ? ratio >= wanted : ratio <= wanted
  return { wanted: `${better === 'more' ? '≥' : '≤'} ${wanted} × ${reference}`, kept }
}

/** Three figures that count. */
export const shown = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
