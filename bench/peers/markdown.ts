/** A comparison as a page to read: one table a question, and below it whatever has to be known to believe it. */
import { ratioTo, shown, spreadOf, verdictOn, ours, type Results } from './results.ts'
import type { CaseResult, Figure, QuestionResult } from './rounds.ts'

export function markdownOf(results: Results): string {
  const { date, rounds, warmUps, seed, quick, machine, peers } = results
  return (
    [
      `# Stele and other logs, ${date.slice(0, 10)}`,
      ...(quick ? ['A quick slice that only proves that the bench works: its figures say nothing.'] : []),
      `Median (least–most) of ${rounds} rounds after ${warmUps} that did not count, in each of them all peers in an order drawn by seed ${seed}. ` +
        "A ratio is Stele's median divided by the peer's. 1 MB is 1,000,000 bytes.",
      `![the same as bars](${fileName(results)}.svg)`,
      table(['the machine', ''], Object.entries(machine)),
      table(
        ['peer', 'version'],
        peers.map(({ name, version, missing }) => [name, version ?? `**${missing}**`]),
      ),
      ...results.questions.flatMap(question => questionIn(question, namesOf(results))),
      '',
    ]
      .join('\n\n')
      .trimEnd() + '\n'
  )
}

/** Without its ending. */
export const fileName = ({ date, name }: Results): string => `${date.slice(0, 10)}-${name}`

const namesOf = ({ peers }: Results): string[] => peers.map(({ name }) => name)

function questionIn(question: QuestionResult, peers: readonly string[]): string[] {
  const notes: string[] = []
  const noted = (note: string): string => {
    if (!notes.includes(note)) notes.push(note)
    return `[${notes.indexOf(note) + 1}]`
  }
  const others = peers.filter(name => name !== ours)
  const rows = question.cases.flatMap(of =>
    Object.entries(of.figures).map(([name, figure]) => [
      of.name,
      `${name}${figure.unit === '' ? '' : `, ${figure.unit}`}`,
      cell(of, ours, name, noted),
      ...others.flatMap(peer => [cell(of, peer, name, noted), ratio(of, peer, name)]),
      verdict(of, name, figure),
    ]),
  )
  const head = ['', '', ours, ...others.flatMap(peer => [peer, 'ratio']), 'wanted']
  return [
    `## ${question.title}`,
    question.about,
    table(head, rows),
    ...(notes.length === 0 ? [] : [notes.map((note, n) => `- [${n + 1}] ${note}`).join('\n')]),
    noiseIn(question),
    ...settingsIn(question),
  ]
}

function cell(of: CaseResult, peer: string, figure: string, noted: (note: string) => string): string {
  const gap = of.gaps[peer]
  const mark = gap === undefined ? '' : noted(`${peer}: ${oneLine(gap)}`)
  const spread = spreadOf(of, peer, figure)
  if (spread === undefined) return gap === undefined ? '–' : `– ${mark}`
  const { min, median, max } = spread
  return `${shown(median)} (${shown(min)}–${shown(max)})${mark === '' ? '' : ` ${mark}`}`
}

function ratio(of: CaseResult, peer: string, figure: string): string {
  const found = ratioTo(of, peer, figure)
  return found === undefined ? '–' : `${shown(found)} ×`
}

function verdict(of: CaseResult, name: string, figure: Figure): string {
  const found = verdictOn(of, name, figure)
  if (found === undefined) return ''
  const { wanted, kept } = found
  return `${wanted}: ${kept === undefined ? 'cannot be told' : kept ? 'kept' : '**missed**'}`
}

function noiseIn({ cases }: QuestionResult): string {
  const noise = cases.flatMap(({ samples }) => samples.map(sample => sample.noise))
  if (noise.length === 0) return 'Nothing was measured.'
  const most = (of: (one: (typeof noise)[number]) => number): number => Math.max(...noise.map(of))
  const percent = (value: number): string => `${shown(value * 100)} %`
  const mean = noise.reduce((sum, one) => sum + one.othersShare, 0) / noise.length
  return (
    `The machine meanwhile: load up to ${shown(most(one => one.load))}; processes that are not the bench's took ` +
    `${percent(mean)} of the processors, and ${percent(most(one => one.othersShare))} in the worst sample; other machines on the same hardware up to ` +
    `${percent(most(one => one.stolenShare))}; the longest wait to be woken was ${shown(most(one => one.stallMs))} ms.`
  )
}

function settingsIn({ settings }: QuestionResult): string[] {
  const all = Object.entries(settings)
  return all.length === 0 ? [] : [all.map(([who, what]) => `- ${who}: \`${what}\``).join('\n')]
}

const oneLine = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ').replaceAll('|', '/')
  return line.length > 400 ? `${line.slice(0, 400)}…` : line
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
