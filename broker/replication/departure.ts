/**
 * What a broker does before it stops on purpose: in come its replicas, out go hand-overs of what it leads and wishes to leave the sets of what it
 * follows. It goes on copying until every leader has said that it does not wait for it; what cannot spare it keeps it.
 */
import { sliceTablets, type TabletAssignment } from '../../control/model.ts'
import type { Wish } from './changes.ts'
import type { Handovers } from './handovers.ts'
import { mayBeSpared } from './leadership.ts'
import { keyOf, type Followed, type FollowerRun, type Replica } from './replica.ts'

export type DepartureOptions = {
  readonly self: FollowerRun
  readonly handovers: Handovers
  readonly wish: (wish: Wish) => void
  /** Whether the leader waits for this copy no more; asks it when that is not known. */
  readonly isReleased: (followed: Followed) => boolean
  /** Whether its leader has refused to serve it for a while, as one does that is out of order: it waits for nobody then. */
  readonly isRefused: (followed: Followed) => boolean
}

/** How many tablets still count on this broker: as their leader, in their set, or until their leader has seen that they do not. */
export type Left = { readonly leads: number; readonly inSync: number; readonly awaited: number }

const slicesMax = 16

/** A successor that had everything so short a time ago has the rest soon: until then nobody can append. */
export const behindMsMax = 1_000

export class Departure {
  readonly #options: DepartureOptions
  /** Those that are being left, with their slices. */
  readonly #wishes = new Map<string, string>()

  constructor(options: DepartureOptions) {
    this.#options = options
  }

  /** Does what can be done now. */
  look(replicas: Iterable<Replica>): Left {
    const { handovers, isReleased, isRefused } = this.#options
    let [leads, inSync, awaited] = [0, 0, 0]
    for (const replica of replicas) {
      const { led, followed, assignment } = replica
      if (led !== undefined) {
        if (led.handingTo === undefined && !led.hasHeirs) continue
        leads++
        if (led.handingTo === undefined) handovers.begin(led, led.successors(behindMsMax), true)
      } else if (followed !== undefined && assignment !== undefined && !isRefused(followed)) {
        if (this.#without(assignment, replica) !== undefined) {
          inSync++
          if (isLed(assignment, replica)) this.#leave(replica)
        } else if (!this.#isMember(assignment) && !isReleased(followed)) awaited++
      }
    }
    return { leads, inSync, awaited }
  }

  #leave(replica: Replica): void {
    const { topicId, partition } = replica
    const key = keyOf(replica)
    const slice = `${topicId}/${Math.floor(partition / sliceTablets)}`
    const slices = new Set(this.#wishes.values())
    if (this.#wishes.has(key) || (!slices.has(slice) && slices.size >= slicesMax)) return
    this.#wishes.set(key, slice)
    this.#options.wish({
      topicId,
      partition,
      wanted: now => (isLed(now, replica) ? this.#without(now, replica) : undefined),
      answered: answer => {
        if (answer !== 'unknown') this.#wishes.delete(key)
      },
    })
  }

  /** The tablet without this broker in its set; undefined where it is not in it, leads, or is needed. */
  #without(now: TabletAssignment, { limits }: Replica): TabletAssignment | undefined {
    const { broker } = this.#options.self
    if (!this.#isMember(now) || now.leader === broker || !mayBeSpared(now, limits)) return undefined
    return { ...now, version: now.version + 1, isr: now.isr.filter(member => member.broker !== broker) }
  }

  #isMember({ isr }: TabletAssignment): boolean {
    return isr.some(({ broker }) => broker === this.#options.self.broker)
  }
}

/**
 * Whether the leader has shown itself in this epoch. Until then those who would stay may all be brokers that have never opened the tablet: then nobody who has
 * it would be in the set, and nobody could begin. A leader that is lost is not left but replaced.
 */
const isLed = ({ epoch, leader }: TabletAssignment, { followed }: Replica): boolean =>
  followed?.isAnswered === true && followed.epoch === epoch && followed.leader === leader
