/**
 * Who owns what, as plain immutable values: topics, their tablets, the brokers. In come names and assignments, out go
 * refusals and successors. It always holds that a tablet's epoch and version only grow, and that who leads is in sync.
 */
import { assert } from '../base/assert.ts'
import type { BrokerId, Epoch, Incarnation } from '../base/quantities.ts'

export type Topic = {
  readonly name: string
  /** Kafka's uuid as text: 22 characters of base64url. A topic deleted and made again has another one. */
  readonly id: string
  /** The topic's own settings under Kafka's names; what is not here comes from the broker or the defaults. */
  readonly settings: Readonly<Record<string, string>>
  /** By tablet number, without gaps from 0. */
  readonly tablets: readonly TabletAssignment[]
}

export type TabletAssignment = {
  /** Grows by one with each new leader; 0 at first. */
  readonly epoch: Epoch
  /** Grows by one with every change; 0 at first. */
  readonly version: number
  /** Undefined while nobody leads. */
  readonly leader: BrokerId | undefined
  /** In order of preference for leading; at least one, each broker once. */
  readonly replicas: readonly BrokerId[]
  readonly adding: readonly BrokerId[]
  readonly removing: readonly BrokerId[]
  readonly isr: readonly InSync[]
  /** What replicas hold that may not lead by themselves, as they have said since nobody leads; gone with the next epoch. */
  readonly found?: readonly Found[]
  /** The owner's word for the end of this epoch: who has most leads, in sync or not. Gone with the next epoch. */
  readonly unclean?: true
}

/** What one run of a broker has of a tablet: the epoch of its last batch (-1 when it has none), and the offset behind it. */
export type Found = InSync & {
  readonly epoch: number
  readonly end: number
  /** lost: what it was in sync with is gone, and it has begun anew. offline: it cannot be served in this run. */
  readonly trouble?: 'lost' | 'offline'
}

/** A replica in sync. It counts only for this incarnation of its broker. */
export type InSync = { readonly broker: BrokerId; readonly incarnation: Incarnation }

/** A place to reach a broker at, as clients shall use it. */
type Address = { readonly host: string; readonly port: number }

/** `external` is Kafka's protocol too, for clients that reach brokers by other addresses; `replication` is for brokers alone. */
export type Addresses = Readonly<Partial<Record<'kafka' | 'http' | 'external' | 'replication', Address>>>

/** What a broker says of itself when it starts. */
export type BrokerStart = {
  readonly brokerId: BrokerId
  /** The random id in the data directory's meta.json. */
  readonly diskId: string
  /** Whether the run before this one stopped in order; true when there was none. */
  readonly cleanStop: boolean
  /** The kernel's boot id, when there is one: a killed process does not lose the page cache, a boot does. */
  readonly bootId: string | undefined
  readonly rack: string | undefined
  /** May be empty, and told later with `announceAddresses`. */
  readonly addresses: Addresses
}

export type Broker = BrokerStart & {
  readonly incarnation: Incarnation
  /** This run is about to stop on purpose, or has: nobody shall count on it. */
  readonly leaving?: true
  /** What this broker has written, or says to others, takes a Stele of this level at least: see `mayJoin`. */
  readonly needs?: number
}

/** What a broker says of what it holds, while it runs. */
export type BrokerReport = {
  readonly bytes: number
  readonly offline: readonly OfflineTablet[]
  /** What is being copied of the tablets that it leads; none where that is not given. */
  readonly copies?: readonly CopyReport[]
}

/** What one broker copies from the one that tells, of tablets where it is not in sync. */
export type CopyReport = {
  readonly broker: BrokerId
  /** So many tablets are being copied, and so many of the same work are done. */
  readonly tablets: number
  readonly tabletsDone: number
  /** All that is to be copied, with what is done already; and what is left of it. */
  readonly bytes: number
  readonly bytesLeft: number
  /** By how much it lately became less. */
  readonly bytesPerSecond: number
}

/** A tablet that its broker cannot serve, and why; what the assignment says of it does not matter. */
export type OfflineTablet = { readonly topicId: string; readonly tablet: number; readonly reason: string }

/** A tablet as the one who changes it has seen it. */
type Test = { readonly epoch: Epoch; readonly version: number }

/** A guarded change: `tablet` becomes `to` only if it still is as `test` says. */
export type TabletChange = {
  readonly tablet: number
  readonly test: Test
  readonly to: TabletAssignment
}

/** A stretch of this many tablets of one topic changes as one; see `ControlStore.changeTablets`. */
export const sliceTablets = 64

/** Where groups and their committed offsets are kept. */
export const offsetsTopic = '__consumer_offsets'

/** The topics that are the brokers' own, as in Kafka; others may begin with two underscores too. */
export const isInternal = (topicName: string): boolean => topicName === offsetsTopic

/**
 * `tablets` after `changes`, or undefined when any tablet is not as its test says: then nothing changes. Changes that could
 * never be right (a version that does not grow, a leader out of sync) are bugs of the caller.
 */
export function applyChanges(
  tablets: readonly TabletAssignment[],
  changes: readonly TabletChange[],
): readonly TabletAssignment[] | undefined {
  assert(changes.length > 0, 'a guarded change changes something')
  const slice = sliceOf(changes[0]?.tablet ?? 0)
  const next = [...tablets]
  const touched = new Set<number>()
  for (const change of changes) {
    assertLawful(change)
    assert(sliceOf(change.tablet) === slice, 'one guarded change stays in one slice of tablets')
    assert(!touched.has(change.tablet), 'one guarded change touches each tablet once')
    touched.add(change.tablet)
    const now = tablets[change.tablet]
    if (now?.epoch !== change.test.epoch || now.version !== change.test.version) return undefined
    next[change.tablet] = change.to
  }
  return next
}

const sliceOf = (tablet: number): number => Math.floor(tablet / sliceTablets)

function assertLawful({ test, to }: TabletChange): void {
  assert(to.version === test.version + 1, 'the version grows by one with every change')
  assert(to.epoch === test.epoch || to.epoch === test.epoch + 1, 'the epoch stays or grows by one')
  assertSound(to)
}

/** What every assignment fulfils, whoever wrote it. */
export function assertSound(tablet: TabletAssignment): void {
  const replicas = new Set(tablet.replicas)
  assert(replicas.size > 0 && replicas.size === tablet.replicas.length, 'a tablet has replicas, each once')
  assert(
    tablet.isr.every(member => replicas.has(member.broker)),
    'only replicas are in sync',
  )
  assert(
    new Set(tablet.isr.map(member => member.broker)).size === tablet.isr.length,
    'a broker is in sync once',
  )
  assert(
    tablet.leader === undefined || tablet.isr.some(member => member.broker === tablet.leader),
    'the leader is in sync',
  )
  const told = (tablet.found ?? []).map(({ broker }) => broker)
  assert(
    new Set(told).size === told.length && told.every(broker => replicas.has(broker)),
    'only replicas say what they hold, each once',
  )
}

/**
 * The guarded change by which `claimant`, a replica, becomes the leader in a new epoch: at its start for what it led before
 * (it never leads on in an epoch of an earlier run), or after the leader was lost. The lost leader leaves the set.
 */
export function claimLeadership(tablet: number, now: TabletAssignment, claimant: InSync): TabletChange {
  assert(now.replicas.includes(claimant.broker), 'only a replica claims a tablet')
  const others = now.isr.filter(member => member.broker !== claimant.broker && member.broker !== now.leader)
  const to = { ...inNextEpoch(now), leader: claimant.broker, isr: [claimant, ...others] }
  return { tablet, test: { epoch: now.epoch, version: now.version }, to }
}

/** What the tablet becomes when another epoch begins: what was said for the end of the last one is over. */
export function inNextEpoch(now: TabletAssignment): TabletAssignment {
  const { found: _found, unclean: _unclean, ...rest } = now
  return { ...rest, epoch: (now.epoch + 1) as Epoch, version: now.version + 1 }
}
