import type { Clock } from '../../base/world.ts'
import type { Cluster } from '../../broker/main.ts'
import type { Channel, ToBroker, ToStore } from '../../control/served/messages.ts'
import { joinStore } from '../../control/served/store.ts'
import { usageFailure } from '../failure.ts'
import type { Doors } from './greeting.ts'

/** What a broker says to the process that started it, beside what it asks of the control store. */
export type Ready = { readonly kind: 'ready'; readonly doors: Doors }

export type Member = {
  readonly cluster: Cluster
  /** Resolves when the process that keeps the control store has ended: it never comes back. */
  readonly orphaned: Promise<'orphaned'>
  ready(doors: Doors): void
}

/** Joins the process that started this one as a broker. */
export async function joinParent(clock: Clock): Promise<Member> {
  if (process.send === undefined)
    throw usageFailure(
      '--control parent is for the brokers that `stele start --brokers` starts.',
      'Start it with --brokers instead.',
    )
  const orphaned = new Promise<'orphaned'>(resolve => process.once('disconnect', () => resolve('orphaned')))
  const { clusterId, store } = await joinStore(parent(), clock)
  return {
    orphaned,
    cluster: { clusterId, openStore: () => Promise.resolve(store) },
    ready: ({ kafka, http }) => send({ kind: 'ready', doors: { kafka, http } }),
  }
}

function parent(): Channel<ToStore, ToBroker> {
  const channel: Channel<ToStore, ToBroker> = { send, received: () => undefined, ended: () => undefined }
  process.on('message', message => channel.received(message as ToBroker))
  process.once('disconnect', () => channel.ended())
  return channel
}

/** Whether it arrived is seen by the end of the channel. */
function send(message: ToStore | Ready, sent?: () => void): void {
  if (!process.connected) return sent?.()
  process.send?.(message, undefined, undefined, () => sent?.())
}
