/**
 * The tablets of this broker. In come topics from the control store; out go tablets that lead, with their directories. Every tablet that the control store
 * gives us is here: serving, or offline with a reason.
 */
import { assert, InvariantViolation } from '../../base/assert.ts'
import { MIB, type BrokerId, type Incarnation } from '../../base/quantities.ts'
import { claimLeadership, sliceTablets, type Topic } from '../../control/model.ts'
import type { ControlEvent, ControlStore } from '../../control/store.ts'
import { tabletDirectory } from '../log/segment-names.ts'
import type { TopicSettings } from '../settings/resolve.ts'
import { openTablet } from './open-tablet.ts'
import { Tablet, type TabletShared } from './tablet.ts'

export type TabletsOptions = {
  readonly shared: TabletShared
  readonly store: ControlStore
  readonly self: BrokerId
  readonly incarnation: Incarnation
  readonly dataDirectory: string
  readonly settingsOf: (topic: Topic) => TopicSettings
  /** The last stop was a clean one. */
  readonly clean: boolean
}

export type RecoveryProgress = {
  tabletsDone: number
  readonly tablets: number
  bytesDone: number
  readonly bytes: number
}

const openedAtOnce = 4
/** A tablet that wrote this much is checkpointed before its turn, so that no crash leaves more to check. */
const checkpointBytes = 256 * MIB
const checkpointLookMs = 5_000

export class Tablets {
  readonly #options: TabletsOptions
  readonly #byTopic = new Map<string, Tablet[]>()
  readonly progress: RecoveryProgress
  /** Work on directories, one change of the control store after the other. */
  #work: Promise<void> = Promise.resolve()
  #stopped = false
  #unwatch: () => void = () => undefined

  constructor(options: TabletsOptions) {
    this.#options = options
    const topics = [...options.store.topics().values()]
    for (const topic of topics) this.#place(topic)
    const tablets = [...this.all()]
    const { disk } = options.shared.world
    const bytes = options.clean
      ? 0
      : tablets.reduce((sum, tablet) => sum + uncheckedBytes(disk, options, tablet), 0)
    this.progress = { tabletsDone: 0, tablets: tablets.length, bytesDone: 0, bytes }
  }

  find(topic: string, partition: number): Tablet | undefined {
    return this.#byTopic.get(topic)?.[partition]
  }

  *all(): Generator<Tablet, void> {
    for (const tablets of this.#byTopic.values())
      for (const tablet of tablets) if (tablet !== undefined) yield tablet
  }

  /** Opens every tablet the control store knows of, claims those we lead, and follows its changes from then on. */
  async start(): Promise<void> {
    const { store, shared, dataDirectory } = this.#options
    this.#unwatch = store.watch(event => this.#follow(event))
    // What was made or deleted since the constructor looked.
    const topics = [...store.topics().values()]
    const ids = new Set(topics.map(topic => topic.id))
    for (const [name, tablets] of this.#byTopic)
      if (tablets.some(tablet => !ids.has(tablet.topicId))) this.#byTopic.delete(name)
    for (const topic of topics) {
      this.#place(topic)
      this.#settle(topic)
    }
    const known = new Set([...this.all()].map(tablet => tablet.identity.name))
    setAsideStrangers(shared, dataDirectory, known)
    const there = new Set(
      shared.world.disk.list(`${dataDirectory}/tablets`).map(name => name.split('.stray')[0]),
    )
    shared.checkpoints.retain(name => known.has(name) || there.has(name))
    this.#work = this.#open([...this.all()], this.#options.clean).then(async () => {
      await Promise.all(topics.map(topic => this.#claim(topic)))
    })
    await this.#work
  }

  /** Resolves when the changes that the control store has announced so far are carried out here. */
  async settled(): Promise<void> {
    await this.#work
  }

  /** Starts the work that goes on by itself: retention and checkpoints. */
  maintain(
    settings: () => { retentionCheckMs: number; checkpointMs: number; producerIdExpirationMs: number },
  ): void {
    const { clock } = this.#options.shared.world
    const every = (ms: () => number, work: (tablet: Tablet) => Promise<void>): void => {
      clock.after(ms(), () => {
        if (this.#stopped) return
        void this.#eachTablet(work).then(() => every(ms, work))
      })
    }
    every(
      () => settings().retentionCheckMs,
      tablet => tablet.applyRetention(settings().producerIdExpirationMs),
    )
    every(
      () => settings().checkpointMs,
      tablet => tablet.checkpoint(),
    )
    every(
      () => checkpointLookMs,
      async tablet => {
        if (tablet.uncheckpointedBytes > checkpointBytes) await tablet.checkpoint()
      },
    )
  }

  /** Everything to disk, everything closed. Answers whether the next start may trust what it finds. */
  async stop(): Promise<boolean> {
    this.#stopped = true
    this.#unwatch()
    await this.#work
    await this.#eachTablet(tablet => tablet.checkpoint())
    const tablets = [...this.all()]
    const clean = tablets.every(tablet => tablet.role === 'leader' && tablet.isCheckpointed)
    for (const tablet of tablets) tablet.close('BROKER_STOPPING')
    return clean
  }

  async #eachTablet(work: (tablet: Tablet) => Promise<void>): Promise<void> {
    const { log } = this.#options.shared
    await eachAtOnce([...this.all()], openedAtOnce, async tablet => {
      try {
        await work(tablet)
      } catch (error) {
        if (error instanceof InvariantViolation) throw error
        if (tablet.role === 'removed') return
        log.warn(
          { topic: tablet.topic, partition: tablet.partition, error },
          'maintenance failed; it is tried again',
        )
      }
    })
  }

  #follow(event: ControlEvent): void {
    switch (event.kind) {
      case 'topic-created':
      case 'topic-changed': {
        const added = this.#place(event.topic)
        this.#settle(event.topic)
        if (added.length > 0) this.#then(() => this.#serve(event.topic, added))
        return
      }
      case 'topic-deleted': {
        const tablets = this.#byTopic.get(event.topic.name) ?? []
        this.#byTopic.delete(event.topic.name)
        const { fileDeleteDelayMs } = this.#options.settingsOf(event.topic)
        for (const tablet of tablets) tablet.close('UNKNOWN_TOPIC_OR_PARTITION')
        this.#then(() => this.#removeDirectories(tablets, fileDeleteDelayMs))
        return
      }
      case 'broker-settings-changed': {
        for (const topic of this.#options.store.topics().values()) this.#settle(topic)
        return
      }
      case 'broker-changed':
        return
    }
  }

  /** Gives the topic's tablets the settings that hold now. */
  #settle(topic: Topic): void {
    const settings = this.#options.settingsOf(topic)
    for (const tablet of this.#byTopic.get(topic.name) ?? []) tablet.settings = settings
  }

  #then(work: () => Promise<void>): void {
    this.#work = this.#work.then(work)
  }

  /** Makes the tablets of `topic` that have a replica here and are not known yet; they are recovering. */
  #place(topic: Topic): Tablet[] {
    const { shared, self, dataDirectory, settingsOf } = this.#options
    const tablets = this.#byTopic.get(topic.name) ?? []
    this.#byTopic.set(topic.name, tablets)
    const settings = settingsOf(topic)
    return topic.tablets.flatMap((assignment, partition) => {
      if (tablets[partition] !== undefined || !assignment.replicas.includes(self)) return []
      const name = tabletDirectory(topic.name, partition, topic.id)
      const directory = `${dataDirectory}/tablets/${name}`
      const identity = { topic: topic.name, topicId: topic.id, partition, name, directory }
      const tablet = new Tablet(shared, identity, settings)
      tablets[partition] = tablet
      return [tablet]
    })
  }

  async #serve(topic: Topic, added: Tablet[]): Promise<void> {
    await this.#open(added, true)
    for (const tablet of added) {
      const assignment = topic.tablets[tablet.partition]
      assert(assignment !== undefined, 'a tablet that was placed has an assignment')
      if (tablet.role === 'recovering') tablet.lead(assignment)
    }
  }

  async #open(tablets: Tablet[], clean: boolean): Promise<void> {
    const { shared } = this.#options
    await eachAtOnce(tablets, openedAtOnce, async tablet => {
      await openTablet(shared, tablet, clean, bytes => (this.progress.bytesDone += bytes))
      this.progress.tabletsDone++
    })
  }

  /** A new run leads in new epochs, so that no offset is given twice within one. */
  async #claim(topic: Topic): Promise<void> {
    const { store, self: broker, incarnation } = this.#options
    const opened = (this.#byTopic.get(topic.name) ?? []).filter(
      tablet => tablet.topicId === topic.id && tablet.role === 'recovering',
    )
    const bySlice = Map.groupBy(opened, tablet => Math.floor(tablet.partition / sliceTablets))
    for (const tablets of bySlice.values()) {
      const changes = tablets.flatMap(({ partition }) => {
        const assignment = topic.tablets[partition]
        return assignment === undefined
          ? []
          : [claimLeadership(partition, assignment, { broker, incarnation })]
      })
      // Those that were added meanwhile are not opened yet, and served from their first epoch.
      if (changes.length === 0) continue
      const answer = await store.changeTablets(topic.id, changes)
      for (const { tablet: partition, to } of changes) {
        const tablet = tablets.find(tablet => tablet.partition === partition)
        if (tablet?.role !== 'recovering') continue
        if (answer === 'changed') tablet.lead(to)
        else tablet.fail('the control store did not grant its leadership; start the broker again')
      }
    }
  }

  async #removeDirectories(tablets: Tablet[], delayMs: number): Promise<void> {
    const { shared, dataDirectory } = this.#options
    const { disk, clock } = shared.world
    for (const { identity } of tablets) {
      const doomed = `${identity.directory}.deleted`
      try {
        if (disk.stat(identity.directory) !== undefined) disk.rename(identity.directory, doomed)
        await disk.syncDirectory(`${dataDirectory}/tablets`)
        await shared.checkpoints.delete(identity.name)
        shared.log.info({ topic: identity.topic, partition: identity.partition }, 'tablet deleted')
        clock.after(delayMs, () => removeAway(shared, doomed))
      } catch (error) {
        shared.log.warn(
          { directory: identity.directory, error },
          'could not remove a deleted tablet; it is set aside at the next start',
        )
      }
    }
  }
}

/** Calls `work` for every item, at most `atOnce` at a time. */
async function eachAtOnce<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values()
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
}

/** Directories whose topic nobody knows are neither adopted nor deleted; those of deleted tablets go for good. */
function setAsideStrangers(shared: TabletShared, dataDirectory: string, known: ReadonlySet<string>): void {
  const { disk } = shared.world
  const names = disk.list(`${dataDirectory}/tablets`)
  const taken = new Set(names)
  for (const name of names) {
    const path = `${dataDirectory}/tablets/${name}`
    if (known.has(name) || /\.stray(?:\.\d+)?$/.test(name)) continue
    if (name.endsWith('.deleted')) {
      removeAway(shared, path)
      continue
    }
    let aside = `${name}.stray`
    for (let i = 2; taken.has(aside); i++) aside = `${name}.stray.${i}`
    shared.log.warn(
      { path: `${dataDirectory}/tablets/${aside}` },
      'set aside the directory of a tablet that no topic has; remove it when you do not need it',
    )
    disk.rename(path, `${dataDirectory}/tablets/${aside}`)
  }
}

function removeAway(shared: TabletShared, path: string): void {
  shared.world.disk
    .remove(path)
    .catch((error: unknown) =>
      shared.log.warn({ path, error }, 'could not remove; it goes at the next start'),
    )
}

function uncheckedBytes(
  disk: TabletShared['world']['disk'],
  options: TabletsOptions,
  tablet: Tablet,
): number {
  const { directory, name } = tablet.identity
  if (disk.stat(directory) === undefined) return 0
  const checkpoint = options.shared.checkpoints.of(name)
  const from = checkpoint?.recoveryPoint ?? 0
  const bytes = disk
    .list(directory)
    .filter(file => file.endsWith('.log') && Number(file.slice(0, 20)) >= from)
    .reduce((sum, file) => sum + (disk.stat(`${directory}/${file}`)?.sizeBytes ?? 0), 0)
  return bytes
}
