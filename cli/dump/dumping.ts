import { plural } from '../format.ts'

type Counted = 'batches' | 'records' | 'entries' | 'producers'
const nouns: Record<Counted, string> = {
  batches: 'batch',
  records: 'record',
  entries: 'entry',
  producers: 'producer',
}

/** How a file is to be shown, and what was found in it so far. */
export class Dumping {
  readonly json: boolean
  readonly records: boolean
  /** What the file's name says its first offset is. */
  readonly baseOffset: number
  readonly #counts = new Map<Counted, number>()
  #damage: { readonly first: string; readonly places: number } | undefined

  constructor(options: { json: boolean; records: boolean; baseOffset: number }) {
    this.json = options.json
    this.records = options.records
    this.baseOffset = options.baseOffset
  }

  count(what: Counted, n: number): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + n)
  }

  damaged(position: number, what: string): void {
    const { first, places } = this.#damage ?? { first: `at position ${position}: ${what}`, places: 0 }
    this.#damage = { first, places: places + 1 }
  }

  /** `3 batches, 300 records`. */
  get summary(): string {
    const counts = [...this.#counts].map(([what, n]) => (n === 1 ? `1 ${nouns[what]}` : `${n} ${what}`))
    return counts.length === 0 ? 'nothing in it' : counts.join(', ')
  }

  /** One sentence on what is broken, or undefined when nothing is. */
  get damage(): string | undefined {
    if (this.#damage === undefined) return undefined
    const { first, places } = this.#damage
    return places === 1 ? `damaged ${first}` : `damaged in ${plural(places, 'place')}, first ${first}`
  }
}
