/** The owner's word that a replica may lead a tablet that was not in sync. In comes a tablet that nobody leads, out goes a guarded change; the replicas do the rest. */
import { Refusal } from '../../base/refusals.ts'
import type { BrokerId } from '../../base/quantities.ts'
import type { TabletAssignment } from '../../control/model.ts'
import type { ControlStore } from '../../control/store.ts'
import { unledText } from '../../control/unled.ts'
import { isLed } from '../replication/out-of-sync.ts'

/** Replicas say what they hold in the same record; so often one may be first. */
const triesMax = 10

/**
 * Answers the epoch that is to end, once the word is written into the record.
 * @throws Refusal ELECTION_NOT_NEEDED when somebody leads, UNKNOWN_TOPIC_OR_PARTITION, REQUEST_TIMED_OUT when it is not known whether it was written
 */
export async function allowUnclean(store: ControlStore, topicId: string, tablet: number): Promise<number> {
  for (let tries = 1; ; tries++) {
    const topic = store.topicById(topicId)
    const now = topic?.tablets[tablet]
    if (topic === undefined || now === undefined)
      throw new Refusal('UNKNOWN_TOPIC_OR_PARTITION', `there is no partition ${tablet} any more`)
    refuseIfLed(store, `${topic.name}-${tablet}`, now)
    if (now.unclean === true) return now.epoch
    const to = { ...now, version: now.version + 1, unclean: true as const }
    const answer = await store.changeTablets(topicId, [{ tablet, test: now, to }])
    if (answer === 'changed') return now.epoch
    if (answer === 'refused' && tries < triesMax) continue
    throw new Refusal('REQUEST_TIMED_OUT', 'it is not known whether the election was allowed: ask again')
  }
}

function refuseIfLed(store: ControlStore, name: string, now: TabletAssignment): void {
  if (isLed(now, aroundOf(store)))
    throw new Refusal('ELECTION_NOT_NEEDED', `broker ${now.leader} leads ${name}`)
}

const aroundOf = (store: Pick<ControlStore, 'brokers' | 'isSilent'>): Parameters<typeof isLed>[1] => ({
  runOf: broker => store.brokers().get(broker)?.incarnation,
  isSilent: broker => store.isSilent(broker),
})

type Own = {
  readonly id: BrokerId
  readonly trouble: string | undefined
  /** Where this broker answers HTTP; undefined when it does not. */
  readonly server: string | undefined
}

/** Why nobody serves a tablet, and what its owner can do: in words, with commands that can be pasted. */
export type Offline = { readonly why: string; readonly todo: string | undefined }

/** As the control store and the broker's own replica say; undefined while somebody serves it. */
export function offlineOf(
  store: Pick<ControlStore, 'brokers' | 'isSilent'>,
  topic: string,
  partition: number,
  now: TabletAssignment,
  own: Own,
): Offline | undefined {
  const { leader } = now
  const isOwn = leader === own.id && own.trouble !== undefined
  if (!isOwn && isLed(now, aroundOf(store))) return undefined
  const first = isOwn
    ? own.trouble
    : leader === undefined
      ? 'nobody leads it'
      : `broker ${leader}, which led it, is not there or cannot`
  const unled = unledText(now)
  const why = unled === undefined ? (first ?? '') : `${first}; ${unled}`
  const bringBack = `Bring back ${namesOf(now.isr.map(({ broker }) => broker))} with the data it had.`
  const at = own.server === undefined ? '' : ` --server ${own.server}`
  const isUnheard = now.replicas.length > 1 && now.found === undefined
  const otherwise = canElect(now)
    ? ` When that cannot be, let the one that has most lead, without what only others have: stele topic elect ${topic} --partition ${partition} --unclean${at}`
    : ` When that cannot be, its records are lost; the topic can be deleted, with all its partitions: stele topic delete ${topic}${at}`
  const todo = isUnheard ? bringBack : bringBack + otherwise
  return { why, todo: isOwn && unled === undefined ? undefined : todo }
}

/** Whether somebody who was heard may lead it by its owner's word. */
export function canElect({ replicas, found = [] }: TabletAssignment): boolean {
  const able = found.filter(({ trouble }) => trouble !== 'offline')
  return able.some(({ epoch }) => epoch >= 0) || able.length === replicas.length
}

const namesOf = (ids: readonly BrokerId[]): string => ids.map(id => `broker ${id}`).join(' or ') || 'a broker'
