/** TabletSlices as the broker knows tablets, and back as guarded patches. */
import { isDeepStrictEqual } from 'node:util'
import { InvariantViolation } from '../../base/assert.ts'
import { brokerId, epoch, incarnation } from '../../base/quantities.ts'
import type { JsonPatch } from '../../kube/api.ts'
import { assertSound, sliceTablets } from '../model.ts'
import type { Found, TabletAssignment, TabletChange } from '../model.ts'
import type { SliceTablet, TabletSlice } from './resources/tablet-slice.ts'

/** Slices do not change, so each is read once. */
const read = new WeakMap<TabletSlice, readonly TabletAssignment[] | undefined>()

/** Undefined for a slice that nobody of us can have written. */
function tabletsIn(slice: TabletSlice): readonly TabletAssignment[] | undefined {
  if (read.has(slice)) return read.get(slice)
  const tablets = decode(slice)
  read.set(slice, tablets)
  return tablets
}

function decode({ tablets }: TabletSlice): readonly TabletAssignment[] | undefined {
  try {
    return tablets.map(({ leader, found, unclean, ...tablet }) => {
      const assignment: TabletAssignment = {
        epoch: epoch(tablet.epoch),
        version: tablet.version,
        leader: leader === undefined ? undefined : brokerId(leader),
        replicas: tablet.replicas.map(brokerId),
        adding: tablet.adding.map(brokerId),
        removing: tablet.removing.map(brokerId),
        isr: tablet.isr.map(member => ({
          broker: brokerId(member.broker),
          incarnation: incarnation(member.incarnation),
        })),
        ...(found && { found: found.map(toFound) }),
        ...(unclean === true && { unclean }),
      }
      assertSound(assignment)
      return assignment
    })
  } catch (error) {
    if (error instanceof InvariantViolation || error instanceof TypeError) return undefined
    throw error
  }
}

const toFound = ({
  broker,
  incarnation: run,
  ...held
}: NonNullable<SliceTablet['found']>[number]): Found => ({
  ...held,
  broker: brokerId(broker),
  incarnation: incarnation(run),
})

/** The tablets of a topic, from 0 on without gaps, as far as its slices have them. */
export function joined(slices: ReadonlyMap<number, TabletSlice>): TabletAssignment[] {
  const all: TabletAssignment[] = []
  for (let first = 0; ; first += sliceTablets) {
    const slice = slices.get(first)
    const tablets = slice && tabletsIn(slice)
    if (tablets === undefined) return all
    for (const tablet of tablets) all.push(tablet)
    if (tablets.length < sliceTablets) return all
  }
}

export const sameTablets = (a: readonly TabletAssignment[], b: readonly TabletAssignment[]): boolean =>
  a.length === b.length && a.every((tablet, n) => tablet === b[n] || isDeepStrictEqual(tablet, b[n]))

const sliceTabletOf = ({ leader, ...rest }: TabletAssignment): SliceTablet => ({
  ...rest,
  ...(leader !== undefined && { leader }),
})

/**
 * All of `changes`, which lie in `slice`, or none: when any test fails the API server answers 422 and changes nothing. A tablet that passes its test is as
 * `slice` has it, also in what a newer Stele has added to it.
 */
export const changePatch = ({ topic, tablets }: TabletSlice, changes: readonly TabletChange[]): JsonPatch => [
  { op: 'test', path: '/topic/id', value: topic.id },
  ...changes.flatMap(({ tablet, test }) => [
    { op: 'test' as const, path: `${pathOf(tablet)}/epoch`, value: test.epoch },
    { op: 'test' as const, path: `${pathOf(tablet)}/version`, value: test.version },
  ]),
  ...changes.map(({ tablet, to }) => ({
    op: 'replace' as const,
    path: pathOf(tablet),
    value: { ...othersIn(tablets[tablet % sliceTablets]), ...sliceTabletOf(to) },
  })),
]

/** Fields of a newer Stele. */
const othersIn = (tablet: SliceTablet | undefined): object =>
  Object.fromEntries(Object.entries(tablet ?? {}).filter(([name]) => !(name in own)))

const own: Readonly<Record<keyof SliceTablet, true>> = {
  epoch: true,
  version: true,
  leader: true,
  replicas: true,
  adding: true,
  removing: true,
  isr: true,
  found: true,
  unclean: true,
}

const pathOf = (tablet: number): string => `/tablets/${tablet % sliceTablets}`
