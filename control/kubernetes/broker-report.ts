/**
 * What a running broker says of what it holds, in annotations of its Lease: bytes, the tablets that it cannot serve, and what others copy from it. A report enters, text that is
 * bounded comes out, and back. What always holds: equal reports are equal text, and what is no report of the Lease's present run says nothing.
 */
import * as z from 'zod/mini'
import type { Incarnation } from '../../base/quantities.ts'
import type { Lease } from '../../kube/resources.ts'
import type { BrokerReport, OfflineTablet } from '../model.ts'
import { copiesText } from './copy-report.ts'
import { annotations } from './resources/names.ts'

/** Everyone who watches Leases gets each of them every few seconds: what does not fit is counted only. */
const namedCharsMax = 16_000
const whyCharsMax = 400

const whole = z.int().check(z.nonnegative())
const ranges = z.array(z.tuple([whole, whole]))
const shape = z.object({
  /** The broker's incarnation: what an earlier run said does not count. */
  run: whole,
  /** By topic id the first and the last tablet of each stretch. */
  reasons: z.array(z.object({ why: z.string(), tablets: z.record(z.string(), ranges) })),
  /** How many more there are. */
  unnamed: whole,
})
type Offline = z.infer<typeof shape>

/** The annotations' values by name. */
export const reportTexts = (
  { bytes, offline, copies = [] }: BrokerReport,
  run: Incarnation,
): Readonly<Record<string, string>> => ({
  [annotations.bytes]: String(bytes),
  [annotations.offline]: offline.length === 0 ? '' : JSON.stringify(offlineOf(offline, run)),
  [annotations.copies]: copiesText(copies, run),
})

function offlineOf(offline: readonly OfflineTablet[], run: Incarnation): Offline {
  const reasons: Offline['reasons'] = []
  let left = namedCharsMax
  let unnamed = 0
  const byWhy = Map.groupBy(offline, ({ reason }) => reason.slice(0, whyCharsMax))
  for (const [why, some] of [...byWhy].sort(byKey)) {
    left -= why.length
    const tablets: Offline['reasons'][number]['tablets'] = {}
    for (const [id, ofTopic] of [...Map.groupBy(some, ({ topicId }) => topicId)].sort(byKey)) {
      const stretches = stretchesOf(ofTopic.map(({ tablet }) => tablet))
      left -= JSON.stringify(stretches).length + id.length
      if (left < 0) unnamed += ofTopic.length
      else tablets[id] = stretches
    }
    if (Object.keys(tablets).length > 0) reasons.push({ why, tablets })
  }
  return { run, reasons, unnamed }
}

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1)

function stretchesOf(numbers: readonly number[]): [number, number][] {
  const stretches: [number, number][] = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = stretches.at(-1)
    if (last?.[1] === number - 1) last[1] = number
    else stretches.push([number, number])
  }
  return stretches
}

/** How many bytes the broker said last that it holds. */
export function bytesIn({ metadata }: Lease): number | undefined {
  const text = metadata.annotations?.[annotations.bytes]
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

export type OfflineThere = {
  /** Why the broker cannot serve the tablet; undefined when it says nothing of it. */
  whyOf(topicId: string, tablet: number): string | undefined
  /** How many more it cannot serve than it names. */
  readonly unnamed: number
}

export const nothingOffline: OfflineThere = { whyOf: () => undefined, unnamed: 0 }

/** What the Lease's broker, in its run `run`, cannot serve. */
export function offlineIn({ metadata }: Lease, run: number | undefined): OfflineThere {
  const text = metadata.annotations?.[annotations.offline] ?? ''
  const said = text === '' ? undefined : parsed(text)
  if (said === undefined || said.run !== run) return nothingOffline
  return {
    unnamed: said.unnamed,
    whyOf: (topicId, tablet) =>
      said.reasons.find(({ tablets }) =>
        tablets[topicId]?.some(([first, last]) => first <= tablet && tablet <= last),
      )?.why,
  }
}

function parsed(text: string): Offline | undefined {
  try {
    const read = shape.safeParse(JSON.parse(text))
    return read.success ? read.data : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
