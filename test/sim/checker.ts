/**
 * What must hold of a cluster, judged from what its clients were told and what its replicas hold in the end. In comes a history, out come complaints: none when
 * nothing is wrong. It knows nothing of how brokers work.
 */
import { missingKeys, passable } from './checker-compacted.ts'
import { recordsOf } from './told-records.ts'

export type Told =
  /** acks=all was answered: the records have offsets from `baseOffset` on. */
  | {
      readonly kind: 'acknowledged'
      readonly tablet: string
      readonly baseOffset: number
      readonly values: readonly string[]
      /** Of a compacted topic. */
      readonly keys?: readonly (string | undefined)[]
    }
  /** A reader that goes on where it was got these, in this order. */
  | {
      readonly kind: 'read'
      readonly tablet: string
      readonly reader: string
      readonly records: readonly Held[]
    }
  /** A client asked for the end of what can be read, and goes by the newest leader that it has heard of. */
  | { readonly kind: 'latest'; readonly tablet: string; readonly reader: string; readonly offset: number }
  /** One run of a broker said so of itself. */
  | { readonly kind: 'mark'; readonly tablet: string; readonly run: string; readonly highWatermark: number }
  | { readonly kind: 'leads'; readonly tablet: string; readonly run: string; readonly epoch: number }
  /** Somebody had everything below `below` deleted, or asked for that: it may be gone. */
  | { readonly kind: 'cleared'; readonly tablet: string; readonly below: number }
  /** A reader found the log to begin behind where it was, and goes on there. */
  | { readonly kind: 'moved'; readonly tablet: string; readonly reader: string; readonly to: number }
  /** Who leads from now on was not in sync, as all who were may have lost something: what was at `from` or behind may be gone. */
  | { readonly kind: 'cut'; readonly tablet: string; readonly from: number }
  /** A reader was told that what it had read from `to` on is gone, and reads again from there. */
  | { readonly kind: 'went back'; readonly tablet: string; readonly reader: string; readonly to: number }
  /** Of every key the newest record stays, and others may go. */
  | { readonly kind: 'compacted'; readonly tablet: string }
  /** Acknowledged by its leader alone: what one had may be gone with it, and what was read too. In the end all have the same all the same. */
  | { readonly kind: 'best effort'; readonly tablet: string }
  /** The topic was deleted: what was acknowledged may be gone. */
  | { readonly kind: 'deleted'; readonly tablet: string }
  /** In the end, when all have caught up. */
  | {
      readonly kind: 'holds'
      readonly tablet: string
      readonly run: string
      readonly highWatermark: number
      readonly records: readonly Held[]
      /** Every batch below the high watermark, by a sum of all its bytes. */
      readonly batches?: readonly { readonly baseOffset: number; readonly sum: number }[]
    }

export type Held = { readonly offset: number; readonly value: string; readonly key?: string }

const complaintsMax = 20
const promisedToAll: ReadonlySet<Told['kind']> = new Set(['leads', 'cleared', 'deleted', 'holds'])

export function complaintsOf(told: readonly Told[]): readonly string[] {
  const having = (kind: Told['kind']): ReadonlySet<string> =>
    new Set(told.flatMap(one => (one.kind === kind ? [one.tablet] : [])))
  const loose = having('best effort')
  const history = told.filter(({ tablet, kind }) => !loose.has(tablet) || promisedToAll.has(kind))
  const deleted = having('deleted')
  const compacted = having('compacted')
  const complaints = [
    ...goingBack(history),
    ...latestGoingBack(history),
    ...twoWriters(history),
    ...skipping(history),
    ...differing(history),
    ...[...Map.groupBy(history, one => one.tablet)].flatMap(([tablet, of]) =>
      deleted.has(tablet)
        ? []
        : [
            ...(compacted.has(tablet)
              ? missingKeys(tablet, of)
              : [...missing(tablet, of), ...otherBytes(tablet, of)]),
            ...repeated(tablet, of),
            ...unseen(tablet, of),
          ],
    ),
  ]
  return complaints.slice(0, complaintsMax)
}

/** High watermarks of one run never go back. */
function* goingBack(history: readonly Told[]): Generator<string> {
  const marks = new Map<string, number>()
  for (const one of history) {
    if (one.kind === 'cut')
      for (const [name, mark] of marks)
        if (name.startsWith(`${one.tablet} at `)) marks.set(name, Math.min(mark, one.from))
    if (one.kind !== 'mark') continue
    const name = `${one.tablet} at ${one.run}`
    const before = marks.get(name) ?? 0
    if (one.highWatermark < before)
      yield `the high watermark of ${name} went from ${before} to ${one.highWatermark}`
    marks.set(name, one.highWatermark)
  }
}

/** Nor does what one client is told of them, whoever leads; but what had to be cut may be asked of one who has not cut it yet. */
function* latestGoingBack(history: readonly Told[]): Generator<string> {
  const cut = new Set(history.flatMap(one => (one.kind === 'cut' ? [one.tablet] : [])))
  const told = new Map<string, number>()
  for (const one of history) {
    if (one.kind !== 'latest' || cut.has(one.tablet)) continue
    const before = told.get(one.reader) ?? 0
    if (one.offset < before)
      yield `${one.reader} was told that ${one.tablet} ends at ${one.offset}, and at ${before} before`
    told.set(one.reader, one.offset)
  }
}

/** At most one run leads in an epoch. */
function* twoWriters(history: readonly Told[]): Generator<string> {
  const leaders = new Map<string, string>()
  for (const one of history) {
    if (one.kind !== 'leads') continue
    const name = `${one.tablet} in epoch ${one.epoch}`
    const other = leaders.get(name)
    if (other !== undefined && other !== one.run) yield `${name} is led by ${other} and by ${one.run}`
    leaders.set(name, one.run)
  }
}

/** A reader, which begins at 0, sees no step back and no skip; and where it is told of a step back, somebody had to lead who had no more. */
function* skipping(history: readonly Told[]): Generator<string> {
  const mayPass = passable(history)
  const next = new Map<string, number>()
  const cuts = new Map<string, number>()
  for (const one of history) {
    if (one.kind === 'cut') cuts.set(one.tablet, Math.min(cuts.get(one.tablet) ?? Infinity, one.from))
    if (one.kind === 'went back') {
      if (one.to < (cuts.get(one.tablet) ?? Infinity))
        yield `${one.reader} was sent back to ${one.to} of ${one.tablet}, which nobody had to lose`
      next.set(one.reader, one.to)
    }
    if (one.kind === 'moved') {
      if (one.to > clearedBelow(one.tablet, history))
        yield `${one.tablet} begins at ${one.to}, and nobody wanted that`
      next.set(one.reader, one.to)
    }
    if (one.kind !== 'read') continue
    for (const { offset } of one.records) {
      const due = next.get(one.reader) ?? 0
      if (offset !== due && !mayPass(one.tablet, due, offset))
        yield `${one.reader} got offset ${offset} of ${one.tablet} where ${due} was due`
      next.set(one.reader, offset + 1)
    }
  }
}

/** Every offset has one value, for every reader and on every replica below its high watermark. */
function* differing(history: readonly Told[]): Generator<string> {
  const values = new Map<string, string>()
  for (const one of history) {
    if (one.kind === 'cut') {
      for (const name of values.keys()) if (isBehind(name, one.tablet, one.from)) values.delete(name)
    }
    if (one.kind !== 'read' && one.kind !== 'holds' && one.kind !== 'acknowledged') continue
    for (const { offset, value } of recordsOf(one)) {
      const name = `offset ${offset} of ${one.tablet}`
      const other = values.get(name)
      if (other !== undefined && other !== value) yield `${name} is ${other} and ${value}`
      values.set(name, value)
    }
  }
}

/** Whether the name of an offset is one of `tablet` at `from` or behind. */
function isBehind(name: string, tablet: string, from: number): boolean {
  const at = /^offset (\d+) of (.*)$/.exec(name)
  return at !== null && at[2] === tablet && Number(at[1]) >= from
}

/** Nothing that was acknowledged is missing on any replica; and there are replicas. */
function* missing(tablet: string, history: readonly Told[]): Generator<string> {
  const replicas = history.filter(one => one.kind === 'holds')
  const kept = keptBelow(history)
  const start = clearedBelow(tablet, history)
  if (replicas.length === 0) yield `nobody holds ${tablet}`
  for (const { run, records, highWatermark } of replicas) {
    const held = new Set(records.filter(({ offset }) => offset < highWatermark).map(({ offset }) => offset))
    for (const [index, one] of history.entries()) {
      if (one.kind !== 'acknowledged') continue
      for (const { offset, value } of recordsOf(one))
        if (offset >= start && offset < (kept[index] ?? Infinity) && !held.has(offset))
          yield `${value} was acknowledged at ${offset} of ${tablet}, and ${run} does not hold it`
    }
    const first = Math.min(highWatermark, ...held)
    const last = Math.max(first, ...[...held].map(offset => offset + 1))
    if (last !== highWatermark || held.size !== last - first || first > start)
      yield `${run} holds ${held.size} records of ${tablet} below ${highWatermark}`
  }
  const marks = new Set(replicas.map(({ highWatermark }) => highWatermark))
  if (marks.size > 1) yield `the replicas of ${tablet} end at ${[...marks].join(' and ')}`
}

/** For each entry the offset below which what was told there was never given up later. */
function keptBelow(history: readonly Told[]): number[] {
  const kept: number[] = []
  let lowest = Infinity
  for (let index = history.length - 1; index >= 0; index--) {
    const one = history[index]
    kept[index] = lowest
    if (one?.kind === 'cut') lowest = Math.min(lowest, one.from)
  }
  return kept
}

/** Batches are copied as they are. */
function* otherBytes(tablet: string, history: readonly Told[]): Generator<string> {
  const sums = new Map<number, number>()
  for (const one of history) {
    if (one.kind !== 'holds') continue
    for (const { baseOffset, sum } of one.batches ?? []) {
      if ((sums.get(baseOffset) ?? sum) !== sum)
        yield `the batch at ${baseOffset} of ${tablet} has other bytes at ${one.run}`
      sums.set(baseOffset, sum)
    }
  }
}

const clearedBelow = (tablet: string, history: readonly Told[]): number =>
  Math.max(0, ...history.map(one => (one.kind === 'cleared' && one.tablet === tablet ? one.below : 0)))

/** What an idempotent producer sent stands there once: values are unique. */
function* repeated(tablet: string, history: readonly Told[]): Generator<string> {
  for (const one of history) {
    if (one.kind !== 'holds') continue
    const seen = new Set<string>()
    for (const { offset, value } of one.records) {
      if (seen.has(value)) yield `${value} stands in ${tablet} again, at ${offset}`
      seen.add(value)
    }
  }
}

/** Every reader has seen everything in the end. */
function* unseen(tablet: string, history: readonly Told[]): Generator<string> {
  const end = Math.max(0, ...history.map(one => (one.kind === 'holds' ? one.highWatermark : 0)))
  const ends = new Map<string, number>()
  for (const one of history)
    if (one.kind === 'went back') ends.set(one.reader, one.to)
    else if (one.kind === 'moved') ends.set(one.reader, Math.max(ends.get(one.reader) ?? 0, one.to))
    else if (one.kind === 'read')
      ends.set(
        one.reader,
        Math.max(ends.get(one.reader) ?? 0, ...one.records.map(({ offset }) => offset + 1)),
      )
  for (const [reader, at] of ends)
    if (at < end) yield `${reader} has seen ${tablet} up to ${at}, and it ends at ${end}`
}
