import { annotations } from '../../control/kubernetes/resources/names.ts'
import type { TopicView } from '../../control/kubernetes/ownership.ts'
import type { JudgedTablet } from '../../control/kubernetes/standing.ts'
import type { Fault } from './fault.ts'

/** The owner's word for one tablet: when epoch `epoch` is over without a leader, anyone may lead next. A later epoch needs another word. */
type ElectionWord = { readonly tablet: number; readonly epoch: number }

/** What the annotation of the LogTopic allows; nothing where it has none. */
export function wordsOf({ topic }: TopicView): readonly ElectionWord[] | 'unreadable' {
  const text = topic.metadata.annotations?.[annotations.uncleanElection] ?? ''
  const words: ElectionWord[] = []
  for (const part of text.split(',').filter(one => one.trim() !== '')) {
    const read = /^\s*(\d{1,9})@(\d{1,9})\s*$/.exec(part)
    if (read === null) return 'unreadable'
    words.push({ tablet: Number(read[1]), epoch: Number(read[2]) })
  }
  return words
}

export const wordFault = (view: TopicView): Fault | undefined =>
  wordsOf(view) === 'unreadable'
    ? {
        reason: 'InvalidElection',
        message: `the annotation ${annotations.uncleanElection} is not a list of tablets with their epochs, as 3@7,5@2: correct or remove it`,
      }
    : undefined

const namedMax = 20

/** How the owner lets tablets be led out of sync that wait for those who were; undefined when none does. */
export function electionRemedy({ topic }: TopicView, tablets: readonly JudgedTablet[]): string | undefined {
  const waiting = tablets.filter(
    ({ state, found, unclean }) => state === 'offline' && found && unclean !== true,
  )
  if (waiting.length === 0) return undefined
  const words = waiting.slice(0, namedMax).map(({ number, epoch }) => `${number}@${epoch}`)
  const { name, namespace = 'default' } = topic.metadata
  return `bring back the brokers that were in sync; or, to let those lead that are there, without what only the others hold: kubectl annotate --overwrite logtopic -n ${namespace} ${name} ${annotations.uncleanElection}=${words.join(',')}`
}
