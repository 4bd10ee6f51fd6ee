/**
 * Each write of the control store as a step on a draft: in come the wish and the draft, out goes the answer. A step that is
 * refused has changed nothing.
 */
import { assert } from '../../base/assert.ts'
import { epoch, incarnation } from '../../base/quantities.ts'
import type { BrokerId, Incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Random } from '../../base/world.ts'
import { applyChanges, assertSound } from '../model.ts'
import type { Addresses, BrokerStart, TabletAssignment, TabletChange, Topic } from '../model.ts'
import { targetOf } from '../moves.ts'
import { checkTopicName } from '../names.ts'
import { checkAssignment, checkTabletCount, place, topicTabletsMax } from '../placement.ts'
import type { AddOptions, ChangeAnswer, NewTopic, Registration, SettingsChange } from '../store.ts'
import type { Draft, State } from './state.ts'

export function createTopics(draft: Draft, wanted: readonly NewTopic[], random: Random): (Topic | Refusal)[] {
  let left = topicTabletsMax
  return wanted.map(one => {
    try {
      const tablets = 'assignment' in one ? one.assignment.length : one.tablets
      if (tablets > left && tablets <= topicTabletsMax) {
        const message = `one request makes at most ${topicTabletsMax} partitions; ask for "${one.name}" in another one`
        throw new Refusal('POLICY_VIOLATION', message)
      }
      const topic = newTopic(draft, one, random)
      left -= tablets
      draft.putTopic(topic)
      return topic
    } catch (error) {
      if (error instanceof Refusal) return error
      throw error
    }
  })
}

function newTopic(draft: Draft, wanted: NewTopic, random: Random): Topic {
  const { name, settings } = wanted
  checkTopicName(name)
  if (draft.topics.has(name)) throw new Refusal('TOPIC_ALREADY_EXISTS', `there is a topic "${name}" already`)
  const other = draft.topicCountedAs(name)
  if (other !== undefined) {
    throw new Refusal(
      'INVALID_TOPIC_EXCEPTION',
      `a topic "${name}" cannot stand beside "${other}": metrics write "." as "_" and could not tell them apart`,
    )
  }
  const places =
    'assignment' in wanted
      ? checkAssignment(wanted.assignment, {
          first: 0,
          brokers: new Set(draft.brokers.keys()),
          replication: undefined,
        })
      : placeNew(draft, wanted.tablets, wanted.replication)
  return {
    name,
    id: unusedId(draft, random),
    settings: { ...settings },
    tablets: newTablets(draft, places),
  }
}

const newTablets = (state: State, places: readonly (readonly BrokerId[])[]): TabletAssignment[] =>
  places.map(replicas => {
    const tablet = {
      epoch: epoch(0),
      version: 0,
      leader: replicas[0],
      replicas: [...replicas],
      adding: [],
      removing: [],
      isr: replicas.map(broker => ({ broker, incarnation: runOf(state, broker) })),
    }
    assertSound(tablet)
    return tablet
  })

/** As in Kafka, nothing new goes to a broker that is about to stop, as far as the others are enough. */
function placeNew(draft: Draft, tablets: number, replication: number): BrokerId[][] {
  const loads = draft.loads()
  const mayLead = (id: BrokerId): boolean => draft.brokers.get(id)?.leaving !== true
  const staying = new Map([...loads].filter(([id]) => mayLead(id)))
  return place(staying.size >= replication ? staying : loads, tablets, replication, { mayLead })
}

function runOf(state: State, id: BrokerId): Incarnation {
  const broker = state.brokers.get(id)
  assert(broker !== undefined, 'tablets are placed on registered brokers')
  return broker.incarnation
}

/** A Kafka uuid as text. It begins with a letter or digit, as Kubernetes' labels must; its last character always is one. */
function unusedId(state: State, random: Random): string {
  for (;;) {
    const id = random.bytes(16).toString('base64url')
    if (/^[a-zA-Z0-9]/.test(id) && !state.topicsById.has(id)) return id
  }
}

export function deleteTopic(draft: Draft, name: string, id: string): void {
  const topic = draft.topics.get(name)
  if (topic === undefined) {
    throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic "${name}"`)
  }
  if (topic.id !== id) {
    throw new Refusal('UNKNOWN_TOPIC_ID', `topic "${name}" has the id ${topic.id}, not ${id}`)
  }
  draft.removeTopic(topic)
}

export function addTablets(draft: Draft, id: string, total: number, { replicas }: AddOptions): Topic {
  const topic = topicOf(draft, id)
  const now = topic.tablets.length
  checkTabletCount(total)
  if (total <= now) {
    const message = `topic "${topic.name}" has ${now} partitions; it can only grow, not become ${total}`
    throw new Refusal('INVALID_PARTITIONS', message)
  }
  if (replicas !== undefined && replicas.length !== total - now) {
    const message = `${total - now} partitions are added, but brokers are named for ${replicas.length}`
    throw new Refusal('INVALID_REPLICA_ASSIGNMENT', message)
  }
  const brokers = new Set(draft.brokers.keys())
  const [first] = topic.tablets
  const replication = first === undefined ? 1 : targetOf(first).length
  const places = replicas
    ? checkAssignment(
        replicas.map((ids, at) => ({ tablet: now + at, replicas: ids })),
        { first: now, brokers, replication },
      )
    : placeNew(draft, total - now, replication)
  const grown = { ...topic, tablets: [...topic.tablets, ...newTablets(draft, places)] }
  draft.putTopic(grown)
  return grown
}

export function alterTopicSettings(draft: Draft, id: string, change: SettingsChange): Topic {
  const topic = topicOf(draft, id)
  const altered = { ...topic, settings: alter(topic.settings, change) }
  draft.putTopic(altered)
  return altered
}

export function alterBrokerSettings(draft: Draft, change: SettingsChange): void {
  draft.putBrokerSettings(alter(draft.brokerSettings, change))
}

const alter = (now: Readonly<Record<string, string>>, { set, unset }: SettingsChange) =>
  Object.fromEntries(Object.entries({ ...now, ...set }).filter(([name]) => !unset.includes(name)))

export function changeTablets(draft: Draft, id: string, changes: readonly TabletChange[]): ChangeAnswer {
  const topic = draft.topicsById.get(id)
  const tablets = applyChanges(topic?.tablets ?? [], changes)
  if (topic === undefined || tablets === undefined) return 'refused'
  draft.putTopic({ ...topic, tablets })
  return 'changed'
}

export function registerBroker(draft: Draft, start: BrokerStart): Registration {
  const before = draft.brokers.get(start.brokerId)
  const run = incarnation((before?.incarnation ?? 0) + 1)
  draft.putBroker({ ...start, incarnation: run })
  return { incarnation: run, before }
}

export function announceAddresses(draft: Draft, id: BrokerId, run: Incarnation, addresses: Addresses): void {
  const broker = draft.brokers.get(id)
  if (broker?.incarnation !== run) {
    const message = `run ${run} of broker ${id} is over: run ${broker?.incarnation ?? 'none'} is the one that counts`
    throw new Refusal('INVALID_REQUEST', message)
  }
  draft.putBroker({ ...broker, addresses })
}

export function leaving(draft: Draft, id: BrokerId, run: Incarnation): void {
  const broker = draft.brokers.get(id)
  if (broker?.incarnation === run) draft.putBroker({ ...broker, leaving: true })
}

function topicOf(state: State, id: string): Topic {
  const topic = state.topicsById.get(id)
  if (topic === undefined) throw new Refusal('UNKNOWN_TOPIC_ID', `there is no topic with the id ${id}`)
  return topic
}
