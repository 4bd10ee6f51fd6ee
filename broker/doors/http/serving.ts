import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { World } from '../../../base/world.ts'
import type { Queues } from '../../queues/queues.ts'
import type { Router } from '../../router/router.ts'
import type { Budget } from './budget.ts'
import type { Ends } from './ends.ts'
import type { Forwarding } from './forwarding.ts'
import type { Stopping } from './stopping.ts'
import type { TurnShare } from './turn-share.ts'
import type { Spread } from './writing.ts'

/** What every route has at hand. */
export type Serving = {
  readonly world: World
  readonly router: Router
  readonly queues: Queues
  readonly log: Logger
  readonly metrics: Registry
  /** Of Stele, as the API tells it. */
  readonly version: string
  readonly startedAtMs: number
  /** Bodies being received, over all connections. */
  readonly bodies: Budget
  /** JSON bodies being read and written: what they hold as objects is many times their size. */
  readonly parsing: Budget
  /** Batches being unpacked for readers. */
  readonly unpacking: Budget
  readonly spread: Spread
  /** To other brokers. */
  readonly forwarding: Forwarding
  readonly ends: Ends
  /** Lines of streams, in one turn of the event loop. */
  readonly lines: TurnShare
  readonly stopping: Stopping
}
