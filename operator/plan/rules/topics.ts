import { annotations } from '../../../control/kubernetes/resources/names.ts'
import { tabletSlices, type TabletSlice } from '../../../control/kubernetes/resources/tablet-slice.ts'
import type { JsonPatch } from '../../../kube/api.ts'
import { isGoing } from '../../observe/members.ts'
import {
  holderOf,
  uidOfTopic,
  type DeletionPolicy,
  type Topics,
  type TopicView,
} from '../../../control/kubernetes/ownership.ts'
import { keyOf, type Step } from '../step.ts'

/**
 * Slices follow their LogTopic: its deletionPolicy, and which one it is; and go with it where its last policy was Delete. What a slice says
 * may be older than the user's last word: where nobody saw the LogTopic go, records are kept.
 */
export const topics = ({ views, orphans }: Topics): Step[] => [
  ...views
    .filter(view => view.takenBy === undefined)
    .flatMap(view => view.slices.flatMap(slice => follow(view, slice))),
  ...orphans.flatMap(({ slice, lastWord }) => {
    if (lastWord === undefined || isGoing(slice)) return []
    if (lastWord !== slice.topic.deletionPolicy) return [obey(slice, lastWord)]
    return lastWord === 'Delete' ? [remove(slice)] : []
  }),
]

const obey = (slice: TabletSlice, lastWord: DeletionPolicy): Step => ({
  kind: 'patch',
  resource: tabletSlices,
  key: keyOf(slice),
  patch: [
    { op: 'test', path: '/topic/id', value: slice.topic.id },
    { op: 'replace', path: '/topic/deletionPolicy', value: lastWord },
  ],
  reason: `the LogTopic of ${slice.topic.name} was deleted, its deletionPolicy was ${lastWord}`,
})

function follow({ topic }: TopicView, slice: TabletSlice): Step[] {
  const uid = topic.metadata.uid ?? ''
  const { deletionPolicy } = topic.spec
  const holder = slice.metadata.annotations?.[annotations.logTopic]
  if (isGoing(slice) || (holder === uid && slice.topic.deletionPolicy === deletionPolicy)) return []
  const path = `/metadata/annotations/${annotations.logTopic.replaceAll('/', '~1')}`
  const bare = slice.metadata.annotations === undefined
  const patch: JsonPatch = [
    { op: 'test', path: '/topic/id', value: slice.topic.id },
    ...(bare ? [{ op: 'add', path: '/metadata/annotations', value: {} } as const] : []),
    { op: 'add', path, value: uid },
    { op: 'replace', path: '/topic/deletionPolicy', value: deletionPolicy },
  ]
  const reason =
    holder === uid
      ? `spec.deletionPolicy of ${topic.metadata.name} changed`
      : `${topic.metadata.name} has its records again`
  return [{ kind: 'patch', resource: tabletSlices, key: keyOf(slice), patch, reason }]
}

/** A copy of the API that is behind must not delete a topic's places: the API server itself is asked whether the LogTopic is gone. */
function remove(slice: TabletSlice): Step {
  const { id, name } = slice.topic
  return {
    kind: 'delete',
    resource: tabletSlices,
    key: keyOf(slice),
    uid: slice.metadata.uid ?? '',
    unlessTopic: [uidOfTopic(id), holderOf(slice)],
    reason: `the LogTopic of ${name} was deleted, its deletionPolicy was Delete`,
  }
}
