/** A comparison as bars: the median, and a thin line from the least to the most. The bars of one case share a scale that begins at 0. */
import { ours, shown, spreadOf, type Results } from './results.ts'
import type { CaseResult, Figure } from './rounds.ts'

const width = 900
const namesEnd = 210
const barsEnd = 690
const rowHeight = 17
const colours = ['#1b6ac9', '#8a8f98', '#5a9e6f', '#c26a4a', '#8f6bb3']

export function svgOf(results: Results): string {
  const drawn = new Drawing()
  const peers = results.peers.map(({ name }) => name)
  drawn.text(12, 20, `Stele and other logs, ${results.date.slice(0, 10)}`)
  drawn.text(
    12,
    12,
    `${Object.values(results.machine).join(', ')}. Median of ${results.rounds} rounds, the line from the least to the most.`,
  )
  for (const question of results.questions) {
    drawn.gap(14)
    drawn.text(12, 15, question.title)
    for (const of of question.cases)
      for (const [name, figure] of Object.entries(of.figures)) bars(drawn, of, name, figure, peers)
  }
  return drawn.whole()
}

function bars(drawn: Drawing, of: CaseResult, name: string, figure: Figure, peers: readonly string[]): void {
  const spreads = peers.map(peer => spreadOf(of, peer, name))
  const most = Math.max(0, ...spreads.map(spread => spread?.max ?? 0))
  if (spreads.every(spread => spread === undefined)) return
  drawn.gap(6)
  drawn.text(
    12,
    12,
    `${of.name}: ${name}${figure.unit === '' ? '' : `, ${figure.unit}`} (${figure.better} is better)`,
  )
  const x = (value: number): number => namesEnd + (most === 0 ? 0 : (value / most) * (barsEnd - namesEnd))
  for (const [index, peer] of peers.entries()) {
    const spread = spreads[index]
    const gap = of.gaps[peer]
    if (spread === undefined) drawn.row(peer, peer === ours, gap?.split(':')[0] ?? 'missing')
    else drawn.bar(peer, { ...spread, x, colour: colours[index % colours.length] ?? '' })
  }
}

type Bar = {
  readonly min: number
  readonly median: number
  readonly max: number
  readonly x: (value: number) => number
  readonly colour: string
}

class Drawing {
  readonly #parts: string[] = []
  #y = 14

  gap(height: number): void {
    this.#y += height
  }

  text(x: number, size: number, what: string): void {
    this.#y += size + 6
    this.#parts.push(`<text x="${x}" y="${this.#y - 4}" font-size="${size}">${escaped(what)}</text>`)
  }

  bar(name: string, { min, median, max, x, colour }: Bar): void {
    this.row(name, name === ours, `${shown(median)} (${shown(min)}–${shown(max)})`)
    const [top, middle] = [this.#y - rowHeight + 3, this.#y - rowHeight / 2]
    const length = Math.max(1, x(median) - namesEnd)
    this.#parts.push(
      `<rect x="${namesEnd}" y="${top}" width="${length.toFixed(1)}" height="${rowHeight - 6}" fill="${colour}"/>`,
      `<path d="M${x(min).toFixed(1)} ${middle}H${x(max).toFixed(1)}" stroke="#222" stroke-width="1.5"/>`,
    )
  }

  row(name: string, bold: boolean, value: string): void {
    this.#y += rowHeight
    const y = this.#y - 5
    this.#parts.push(
      `<text x="${namesEnd - 8}" y="${y}" font-size="12" text-anchor="end"${bold ? ' font-weight="bold"' : ''}>${escaped(name)}</text>`,
      `<text x="${barsEnd + 8}" y="${y}" font-size="12">${escaped(value)}</text>`,
    )
  }

  whole(): string {
    const height = this.#y + 16
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" fill="#222">`,
      `<rect width="${width}" height="${height}" fill="#fff"/>`,
      ...this.#parts,
      '</svg>\n',
    ].join('\n')
  }
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
