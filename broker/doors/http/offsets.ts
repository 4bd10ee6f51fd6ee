import { Refusal } from '../../../base/refusals.ts'
import type { Tablet } from '../../tablet/tablet.ts'
import { invalid } from './errors.ts'
import { timestampMsOf, wholeNumber, type Parameters } from './parameters.ts'

/** @throws Refusal INVALID_REQUEST */
export function offsetOf(name: string, text: string, words: Readonly<Record<string, number>>): number {
  const meant = Object.hasOwn(words, text) ? words[text] : undefined
  if (meant !== undefined) return meant
  if (/^\d+$/.test(text)) return wholeNumber(name, text, 0, Number.MAX_SAFE_INTEGER)
  const others = Object.keys(words).join(' or ')
  throw invalid(
    `${name} must be a whole number from 0, or ${others}, not ${JSON.stringify(text.slice(0, 60))}`,
  )
}

/**
 * Where to begin reading: `offset` (a number, earliest, latest) or `timestamp` (the first record at least as new; the end when
 * all are older). Without either at the earliest.
 */
export async function startOf(tablet: Tablet, parameters: Parameters): Promise<number> {
  const offset = parameters.get('offset')
  const timestamp = parameters.get('timestamp')
  if (timestamp === undefined) {
    return offsetOf('offset', offset ?? 'earliest', {
      earliest: tablet.logStart,
      // It may not be known yet, which is nobody's trouble who does not ask for it.
      get latest() {
        return tablet.latest
      },
    })
  }
  if (offset !== undefined) throw invalid('Both offset and timestamp are given, and only one can count')
  const found = await tablet.offsetForTimestamp(timestampMsOf(timestamp))
  return found?.offset ?? tablet.highWatermark
}

/** @throws Refusal OFFSET_OUT_OF_RANGE */
export function checkInLog(tablet: Tablet, offset: number): void {
  if (offset >= tablet.logStart && offset <= tablet.logEnd) return
  throw new Refusal(
    'OFFSET_OUT_OF_RANGE',
    `Offset ${offset} of ${tablet.topic}-${tablet.partition} is not there: it holds ${tablet.logStart} to ${tablet.highWatermark}`,
  )
}
