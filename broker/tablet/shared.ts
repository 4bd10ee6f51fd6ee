/** What a tablet is given by its broker: who it is, and what it shares with the others. */
import type { Logger } from 'pino'
import type { World } from '../../base/world.ts'
import type { Checkpoints } from '../log/checkpoint.ts'
import type { LogShared } from '../log/log.ts'
import type { GroupCommit } from './group-commit.ts'
import type { AroundTablets } from './leading.ts'

/** What the tablets of a broker share. */
export type TabletShared = {
  readonly world: World
  readonly log: Logger
  readonly logs: LogShared
  readonly groupCommit: GroupCommit
  readonly checkpoints: Checkpoints
  /** Undefined where every tablet has one replica. */
  readonly replication?: AroundTablets
}

/** Who it is. `name` is the name of its directory. */
export type TabletIdentity = {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly name: string
  readonly directory: string
}
