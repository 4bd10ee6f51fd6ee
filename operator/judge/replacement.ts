/**
 * When a broker gets an empty volume in the place of its own: purely, from what was seen. To delete a claim is the one thing that the operator cannot take back, so the rule is one small
 * function of plain facts. What always holds: without the owner's word no claim goes whose data may come back, and none whose broker has what nobody else has in sync.
 */
import { annotations } from '../../control/kubernetes/resources/names.ts'
import { judged, type JudgedTablet } from '../../control/kubernetes/standing.ts'
import type { TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'
import type { Member } from '../observe/members.ts'
import { isLeaving, type Seen } from '../observe/seen.ts'
import { isGoneIn } from '../observe/signs.ts'
import { goneBrokers } from './gone.ts'
import { tabletCount } from './topic.ts'

/** What the owner has written on the claim: that its data are given up, or also those that nobody else has. */
type Word = 'none' | 'replace' | 'with last copies'

export type Facts = {
  /** Its pod is. */
  readonly isReady: boolean
  /** It is to go anyway: more than spec.brokers. */
  readonly isExcess: boolean
  readonly hasClaim: boolean
  /** For longer than spec.replaceAfter. */
  readonly isGone: boolean
  /** Whether its data cannot come back, as the API server says. */
  readonly isLost: boolean
  readonly word: Word
  /** It has tablets that no other broker has in sync, as far as anybody knows. */
  readonly hasLastCopies: boolean
  /**
   * The other brokers: 'well', all are ready and have everything in sync; 'behind', one is still copying; 'away', one has been gone for long; 'in turn', one is only just
   * starting, or has stopped just now.
   */
  readonly others: 'well' | 'behind' | 'away' | 'in turn'
}

/** 'keep': there is nothing to replace. 'last copies' and 'others first': it would be replaced but for these. */
export type Verdict = 'keep' | 'replace' | 'last copies' | 'others first'

export function verdictOf(facts: Facts): Verdict {
  const { isReady, isExcess, hasClaim, isGone, isLost, word, hasLastCopies, others } = facts
  if (isReady || isExcess || !hasClaim) return 'keep'
  if (word === 'none' && !(isGone && isLost)) return 'keep'
  if (hasLastCopies && word !== 'with last copies') return 'last copies'
  // Several that are away at once are more likely an outage that ends; who has looked himself may say otherwise.
  const mayGo = word === 'none' ? others === 'well' : others !== 'in turn'
  return mayGo ? 'replace' : 'others first'
}

export type Replacement = {
  readonly member: Member
  readonly verdict: Verdict
  /** Why its data are not waited for: `its node node-a is gone`. */
  readonly why: string
  /** What only it has, as `orders-0`. */
  readonly lastCopies: readonly string[]
}

/** Of the brokers whose data are lost or given up. */
export function replacementsOf(seen: Seen): readonly Replacement[] {
  const known = cache.get(seen)
  if (known !== undefined) return known
  const found = seen.members.flatMap(member => replacementOf(seen, member) ?? [])
  cache.set(seen, found)
  return found
}
const cache = new WeakMap<Seen, readonly Replacement[]>()

function replacementOf(seen: Seen, member: Member): Replacement | undefined {
  const loss = lossOf(seen, member)
  const word = wordOf(member)
  if (member.ready || (loss === undefined && word === 'none')) return undefined
  const lastCopies = lastCopiesOf(seen, member.id)
  const verdict = verdictOf({
    isReady: member.ready,
    isExcess: member.excess,
    hasClaim: member.claim !== undefined,
    isGone: isGoneIn(seen.cluster, member, seen.nowMs),
    isLost: loss !== undefined,
    word,
    hasLastCopies: lastCopies.length > 0,
    others: othersOf(seen, member),
  })
  return { member, verdict, lastCopies, why: loss ?? 'its owner has given it up' }
}

/** Why its data cannot come back, as the API server has it; undefined where nobody knows that. */
export function lossOf({ volumes }: Seen, { claim }: Member): string | undefined {
  if (claim?.status?.phase === 'Lost') return 'its volume is gone'
  const seen = claim && volumes.get(claim.metadata.name)
  if (claim === undefined || seen === undefined) return undefined
  if (seen.volume === undefined) return `its volume ${claim.spec?.volumeName} is gone`
  if (seen.nodesGone === undefined) return undefined
  return `its volume ${seen.volume.metadata.name} is on the node ${seen.nodesGone.join(' or ')}, which is gone`
}

function wordOf({ claim }: Member): Word {
  const said = claim?.metadata.annotations?.[annotations.replaceVolume]
  if (said === 'with-last-copies') return 'with last copies'
  return said === 'true' ? 'replace' : 'none'
}

function othersOf(seen: Seen, member: Member): Facts['others'] {
  // One that never was holds nothing, and may wait for a node for ever.
  const others = seen.members.filter(
    other => other !== member && !isLeaving(other) && other.record !== undefined,
  )
  const away = others.filter(({ ready }) => !ready)
  const gone = goneBrokers(seen)
  const goesFirst = (other: Member): boolean =>
    !gone.includes(other) && (wordOf(other) === 'none' || other.id < member.id)
  if (away.some(goesFirst)) return 'in turn'
  if (away.length > 0) return 'away'
  // Where nobody leads there is nothing to copy from.
  const isBehind = ({ behind, state }: JudgedTablet): boolean =>
    state !== 'offline' && behind.some(id => id !== member.id)
  return servedSlices(seen).some(slice => judged(slice, seen.standings).some(isBehind)) ? 'behind' : 'well'
}

const servedSlices = ({ topicViews }: Seen): TabletSlice[] =>
  topicViews.filter(({ takenBy }) => takenBy === undefined).flatMap(({ slices }) => slices)

/**
 * The tablets on broker `id` that would be lost with it. Of a tablet that is served somebody else has to be in sync now; of one that nobody serves another broker that was, and whose volume
 * was there before the tablet. Tablets whose TabletSlices were deleted may be there.
 */
function lastCopiesOf(seen: Seen, id: number): string[] {
  const served = servedSlices(seen)
  const isServed = new Set(served)
  const byId = new Map<number, Member>(seen.members.map(member => [member.id, member]))
  const nameOf = ({ topic, first }: TabletSlice, at: number): string => `${topic.name}-${first + at}`
  const alone = served.flatMap(slice =>
    judged(slice, seen.standings)
      .filter(({ replicas }) => replicas.includes(id))
      .filter(({ live, state }) => state === 'offline' || live.every(broker => broker === id))
      .map(({ topic, number }) => `${topic}-${number}`),
  )
  const kept = [...seen.slices.values()].filter(slice => !isServed.has(slice))
  const keptAlone = kept.flatMap(slice => {
    const madeAt = slice.metadata.creationTimestamp ?? ''
    const hasIt = (broker: number): boolean => {
      const other = broker === id ? undefined : byId.get(broker)
      const since = other?.claim?.metadata.creationTimestamp
      return other?.ready === true && since !== undefined && since <= madeAt
    }
    return slice.tablets.flatMap(({ isr }, at) =>
      isr.some(({ broker }) => broker === id) && !isr.some(({ broker }) => hasIt(broker))
        ? [nameOf(slice, at)]
        : [],
    )
  })
  const unknown = seen.topicViews
    .filter(view => tabletCount(view) < (view.topic.status?.tablets ?? 0))
    .map(({ name }) => `${name} (its TabletSlices were deleted)`)
  return [...alone, ...keptAlone, ...unknown]
}

const stuckMs = 60_000

/** Whether its pod was to stop a while ago and does not: nobody on its node answers. */
export const isStuck = ({ pod }: Member, nowMs: number): boolean =>
  pod?.metadata.deletionTimestamp !== undefined &&
  nowMs - Date.parse(pod.metadata.deletionTimestamp) > stuckMs

/** Brokers that are about to have their copies made again on a volume of their own, so that nobody else has to make them. */
export const replacedOnes = (seen: Seen): ReadonlySet<number> =>
  new Set(
    replacementsOf(seen)
      .filter(
        ({ verdict, member }) => verdict === 'replace' || (verdict === 'others first' && !member.excess),
      )
      .filter(({ member }) => !isStuck(member, seen.nowMs))
      .map(({ member }) => member.id),
  )
