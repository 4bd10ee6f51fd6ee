/**
 * What is being copied, as brokers say it on their Leases, and all of it together. Reports of leaders enter as bounded text, sums by the broker that copies come
 * out. What always holds: what an earlier run said, or nobody that we know wrote, is nothing.
 */
import * as z from 'zod/mini'
import type { Incarnation } from '../../base/quantities.ts'
import type { Lease } from '../../kube/resources.ts'
import type { CopyReport } from '../model.ts'
import { annotations } from './resources/names.ts'

/** Those with the most to do are named: everyone who watches Leases gets each of them every few seconds. */
const namedMax = 100

const whole = z.int().check(z.nonnegative())
const shape = z.object({
  run: whole,
  /** Broker, tablets being copied, tablets done, bytes in all, bytes left, bytes a second. */
  to: z.array(z.tuple([whole, whole, whole, whole, whole, whole])),
})

export const copiesText = (copies: readonly CopyReport[], run: Incarnation): string =>
  copies.length === 0
    ? ''
    : JSON.stringify({
        run,
        to: copies
          .slice(0, namedMax)
          .map(one => [
            one.broker,
            one.tablets,
            one.tabletsDone,
            one.bytes,
            one.bytesLeft,
            one.bytesPerSecond,
          ]),
      } satisfies z.infer<typeof shape>)

/** What is copied from the Lease's broker in its run `run`, by the broker that copies. */
export function copiesIn({ metadata }: Lease, run: number | undefined): Copied[] {
  const text = metadata.annotations?.[annotations.copies] ?? ''
  const said = text === '' ? undefined : parsed(text)
  if (said === undefined || said.run !== run) return []
  return said.to.map(([broker, tablets, tabletsDone, bytes, bytesLeft, bytesPerSecond]) => ({
    broker,
    tablets,
    tabletsDone,
    bytes,
    bytesLeft: Math.min(bytes, bytesLeft),
    bytesPerSecond,
  }))
}

function parsed(text: string): z.infer<typeof shape> | undefined {
  try {
    const read = shape.safeParse(JSON.parse(text))
    return read.success ? read.data : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

export type Copied = Omit<CopyReport, 'broker'> & { readonly broker: number }

/** How far copies are, of one broker or of a cluster. */
export type CopyProgress = {
  /** Being copied. */
  readonly tablets: number
  readonly tabletsDone: number
  readonly bytes: number
  readonly bytesLeft: number
  readonly bytesPerSecond: number
  /** As things go now; undefined while nothing is copied. */
  readonly secondsLeft: number | undefined
}

/** From all leaders together, for each broker that copies. */
export function copiesByBroker(said: Iterable<readonly Copied[]>): ReadonlyMap<number, CopyProgress> {
  const groups = Map.groupBy([...said].flat(), ({ broker }) => broker)
  return new Map([...groups].map(([broker, parts]) => [broker, together(parts)]))
}

/** Of several brokers; undefined when nothing is being copied. They copy side by side, so the one that takes longest says when all is done. */
export function copiesInAll(brokers: Iterable<CopyProgress>): CopyProgress | undefined {
  const busy = [...brokers].filter(({ tablets }) => tablets > 0)
  if (busy.length === 0) return undefined
  const times = busy.map(({ secondsLeft }) => secondsLeft)
  const all = together(busy)
  return {
    ...all,
    secondsLeft: times.reduce<number | undefined>(
      (most, one) => (most === undefined || one === undefined ? undefined : Math.max(most, one)),
      0,
    ),
  }
}

function together(parts: readonly Omit<Copied, 'broker'>[]): CopyProgress {
  const sum = (of: keyof Omit<Copied, 'broker'>): number => parts.reduce((all, part) => all + part[of], 0)
  const [bytesLeft, bytesPerSecond] = [sum('bytesLeft'), sum('bytesPerSecond')]
  return {
    tablets: sum('tablets'),
    tabletsDone: sum('tabletsDone'),
    bytes: sum('bytes'),
    bytesLeft,
    bytesPerSecond,
    secondsLeft: bytesPerSecond > 0 ? Math.ceil(bytesLeft / bytesPerSecond) : undefined,
  }
}
