import { annotations } from '../../../control/kubernetes/resources/names.ts'
import type { TopicView } from '../../../control/kubernetes/ownership.ts'
import { judged, type JudgedTablet } from '../../../control/kubernetes/standing.ts'
import { tabletSlices, type TabletSlice } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { JsonPatch } from '../../../kube/api.ts'
import { wordsOf } from '../../judge/elections.ts'
import type { Seen } from '../../observe/seen.ts'
import { keyOf, type Step } from '../step.ts'

/** Writes the owner's word into the record, for the tablets and epochs that it names; brokers elect. What is led by then, or in another epoch, stays as it is. */
export const elections = (seen: Seen): Step[] =>
  seen.topicViews.flatMap(view =>
    view.takenBy === undefined ? view.slices.flatMap(slice => allow(seen, view, slice)) : [],
  )

function allow(seen: Seen, view: TopicView, slice: TabletSlice): Step[] {
  const words = wordsOf(view)
  if (!Array.isArray(words) || words.length === 0) return []
  const isMeant = ({ number, epoch, state, unclean }: JudgedTablet): boolean =>
    state === 'offline' &&
    unclean !== true &&
    words.some(word => word.tablet === number && word.epoch === epoch)
  const meant = judged(slice, seen.standings).filter(isMeant)
  if (meant.length === 0) return []
  const names = meant.map(({ number }) => `${view.name}-${number}`).join(', ')
  const note = `${names}: whoever of those that are there has most is to lead, in sync or not; what only others had is lost`
  return [
    {
      kind: 'patch',
      resource: tabletSlices,
      key: keyOf(slice),
      patch: [
        { op: 'test', path: '/topic/id', value: slice.topic.id },
        ...meant.flatMap(tablet => tests(tablet, slice)),
        ...meant.flatMap(tablet => changes(tablet, slice)),
      ],
      reason: `the annotation ${annotations.uncleanElection} of the LogTopic ${view.topic.metadata.name}`,
      event: { type: 'Warning', reason: 'UncleanElection', action: 'Allow', note },
    },
  ]
}

function tests({ number, epoch, version }: JudgedTablet, { first }: TabletSlice): JsonPatch {
  const path = `/tablets/${number - first}`
  return [
    { op: 'test', path: `${path}/epoch`, value: epoch },
    { op: 'test', path: `${path}/version`, value: version },
  ]
}

function changes({ number, version }: JudgedTablet, { first }: TabletSlice): JsonPatch {
  const path = `/tablets/${number - first}`
  return [
    { op: 'add', path: `${path}/unclean`, value: true },
    { op: 'replace', path: `${path}/version`, value: version + 1 },
  ]
}
