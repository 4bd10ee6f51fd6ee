import type { Held, Told } from './checker.ts'

/** The records that stand at their offsets for good, as `one` has it. */
export function recordsOf(one: Told): readonly Held[] {
  if (one.kind === 'read') return one.records
  if (one.kind === 'holds') return one.records.filter(({ offset }) => offset < one.highWatermark)
  if (one.kind === 'acknowledged')
    return one.values.map((value, i) => heldAt(one.baseOffset + i, value, one.keys?.[i]))
  return []
}

const heldAt = (offset: number, value: string, key: string | undefined): Held =>
  key === undefined ? { offset, value } : { offset, value, key }
