import { offset, type Offset } from '../../base/quantities.ts'

/** Kafka's file names: the first offset in twenty digits, then what it is. */
export const segmentPath = (
  directory: string,
  baseOffset: Offset,
  kind: 'log' | 'index' | 'timeindex' | 'snapshot',
): string => `${directory}/${String(baseOffset).padStart(20, '0')}.${kind}`

/** The first offset in the name of a file of `kind`, or undefined when the name is none of ours. */
export function baseOffsetOf(
  name: string,
  kind: 'log' | 'index' | 'timeindex' | 'snapshot',
): Offset | undefined {
  const match = /^(\d{20})\.([a-z]+)$/.exec(name)
  if (match === null || match[2] !== kind) return undefined
  const n = Number(match[1])
  return Number.isSafeInteger(n) ? offset(n) : undefined
}

const topicCharactersMax = 200

/**
 * The directory of a tablet: `<topic>-<n>.<topic id>`. The id tells tablets apart; the topic's name is for people and is cut
 * where the file system's 255 characters would not hold it.
 */
export const tabletDirectory = (topic: string, partition: number, topicId: string): string =>
  `${topic.slice(0, topicCharactersMax)}-${partition}.${topicId}`

/** The topic id in the name of a tablet's directory. */
export const topicIdIn = (name: string): string => name.slice(name.lastIndexOf('.') + 1)
