/** What must hold of a compacted tablet: a record may be gone only where a newer one of its key is. In come histories, out come complaints. */
import type { Held, Told } from './checker.ts'
import { recordsOf } from './told-records.ts'

/** Whether a reader of a compacted tablet may have been given nothing of [from, to): all that is known of it has something newer behind it. */
export function passable(history: readonly Told[]): (tablet: string, from: number, to: number) => boolean {
  const known = new Map<string, ReadonlyMap<number, string>>()
  const newest = new Map<string, ReadonlyMap<string, number>>()
  const compacted = new Set(history.flatMap(one => (one.kind === 'compacted' ? [one.tablet] : [])))
  for (const [tablet, of] of Map.groupBy(history, one => one.tablet)) {
    if (!compacted.has(tablet)) continue
    const records = of.flatMap(recordsOf)
    known.set(tablet, new Map(records.map(({ offset, key = '' }) => [offset, key])))
    newest.set(tablet, newestOf(records))
  }
  return (tablet, from, to) => {
    const keys = known.get(tablet)
    if (keys === undefined || to < from) return false
    for (let at = from; at < to; at++) {
      const key = keys.get(at)
      if (key !== undefined && (newest.get(tablet)?.get(key) ?? -1) <= at) return false
    }
    return true
  }
}

/** What was acknowledged and is missing on a replica has a newer record of its key there, and all have the same newest ones and the same end. */
export function* missingKeys(tablet: string, history: readonly Told[]): Generator<string> {
  const replicas = history.filter(one => one.kind === 'holds')
  if (replicas.length === 0) yield `nobody holds ${tablet}`
  const acknowledged = history.flatMap(one => (one.kind === 'acknowledged' ? recordsOf(one) : []))
  const pictures = new Set<string>()
  for (const one of replicas) {
    const { run, highWatermark } = one
    const records = recordsOf(one)
    const held = new Set(records.map(({ offset }) => offset))
    const newest = newestOf(records)
    for (const { offset, value, key = '' } of acknowledged)
      if (!held.has(offset) && (newest.get(key) ?? -1) <= offset)
        yield `${value} was acknowledged at ${offset} of ${tablet}, ${run} does not hold it and nothing newer of ${key}`
    if (highWatermark > 0 && !held.has(highWatermark - 1))
      yield `${run} holds ${held.size} records of ${tablet} below ${highWatermark}, and not the last`
    pictures.add(JSON.stringify([highWatermark, [...newest].toSorted(([a], [b]) => (a < b ? -1 : 1))]))
  }
  if (pictures.size > 1)
    yield `the replicas of ${tablet} know other newest records: ${[...pictures].join(' and ')}`
}

/** Of each key the newest offset. */
function newestOf(records: readonly Held[]): ReadonlyMap<string, number> {
  const newest = new Map<string, number>()
  for (const { offset, key = '' } of records) newest.set(key, Math.max(newest.get(key) ?? -1, offset))
  return newest
}
