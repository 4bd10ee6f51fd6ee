import { tabletSlices } from '../../../control/kubernetes/resources/tablet-slice.ts'
import { movedTo } from '../../../control/moves.ts'
import type { JsonPatch } from '../../../kube/api.ts'
import { movesOf, type Move } from '../../judge/moves.ts'
import type { Seen } from '../../observe/seen.ts'
import { keyOf, type Step } from '../step.ts'

/** Begins moves of replicas, those of one slice in one write. Brokers copy, and end them. */
export const moves = (seen: Seen): Step[] =>
  [...Map.groupBy(movesOf(seen).next, ({ slice }) => slice)].map(([slice, of]) => ({
    kind: 'patch',
    resource: tabletSlices,
    key: keyOf(slice),
    patch: [
      { op: 'test', path: '/topic/id', value: slice.topic.id },
      ...of.flatMap(tests),
      ...of.flatMap(changes),
    ],
    reason: [...new Set(of.map(({ reason }) => reason))].join('; '),
  }))

function tests({ slice, at }: Move): JsonPatch {
  const tablet = slice.tablets[at]
  return [
    { op: 'test', path: `/tablets/${at}/epoch`, value: tablet?.epoch },
    { op: 'test', path: `/tablets/${at}/version`, value: tablet?.version },
  ]
}

function changes({ slice, at, target }: Move): JsonPatch {
  const tablet = slice.tablets[at]
  const places = tablet && movedTo(tablet, target)
  if (tablet === undefined || places === undefined) return []
  const wanted = { ...places, version: tablet.version + 1 }
  return Object.entries(wanted).map(([name, value]) => ({
    op: 'replace',
    path: `/tablets/${at}/${name}`,
    value,
  }))
}
