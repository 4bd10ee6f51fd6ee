/**
 * The tablets of this broker. In come topics from the control store; out go tablets that lead or follow, with their directories. Every tablet that the
 * control store gives us is here: in the role that its assignment says, claiming its leadership, or offline with a reason.
 */
import { assert, InvariantViolation } from '../../base/assert.ts'
import { MIB, type BrokerId, type Incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import {
  claimLeadership,
  sliceTablets,
  type BrokerReport,
  type OfflineTablet,
  type TabletAssignment,
  type Topic,
} from '../../control/model.ts'
import type { ControlEvent, ControlStore } from '../../control/store.ts'
import { tabletDirectory, topicIdIn } from '../log/segment-names.ts'
import type { TopicSettings } from '../settings/resolve.ts'
import { eachAtOnce } from './each-at-once.ts'
import { openTablet } from './open-tablet.ts'
import { lostWith, missingWith, stanceOf } from './stance.ts'
import type { TabletShared } from './shared.ts'
import { Strays } from './strays.ts'
import { Tablet } from './tablet.ts'

export type TabletsOptions = {
  readonly shared: TabletShared
  readonly store: ControlStore
  readonly self: BrokerId
  readonly incarnation: Incarnation
  /** The first run on this disk: what earlier ones had in sync lay on another. */
  readonly diskSince: Incarnation
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
/** So many guarded changes are under way at once. */
const claimedAtOnce = 16
/** A claim that was not granted, or whose answer is unknown, is looked at again after so long. */
const claimAgainMs = 1_000
/** A tablet that wrote this much is checkpointed before its turn, so that no crash leaves more to check. */
const checkpointBytes = 256 * MIB
const checkpointLookMs = 5_000

export class Tablets {
  readonly #options: TabletsOptions
  readonly #byTopic = new Map<string, (Tablet | undefined)[]>()
  readonly progress: RecoveryProgress
  /** Work on directories, one change of the control store after the other. */
  #work: Promise<void> = Promise.resolve()
  /** Those that were in sync and have lost their records, while nobody else was. */
  readonly #lostHere = new Set<Tablet>()
  /** Those whose leadership is being claimed. */
  readonly #claiming = new Set<Tablet>()
  readonly #strays: Strays
  #stopped = false
  #unwatch: () => void = () => undefined

  constructor(options: TabletsOptions) {
    this.#options = options
    this.#strays = new Strays(options.shared, `${options.dataDirectory}/tablets`)
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

  /** Bytes in directories that were set aside. */
  get strayBytes(): number {
    return this.#strays.bytes
  }

  /** What the broker holds here, for those who look after the cluster. */
  report(): BrokerReport {
    let bytes = 0
    const offline: OfflineTablet[] = []
    for (const tablet of this.all()) {
      bytes += tablet.sizeBytes
      const { topicId, partition, trouble } = tablet
      if (trouble !== undefined) offline.push({ topicId, tablet: partition, reason: trouble })
    }
    return { bytes, offline }
  }

  /** Opens every tablet the control store knows of, claims those we lead, and follows its changes from then on. */
  async start(): Promise<void> {
    const { store, shared, self, dataDirectory, diskSince, incarnation } = this.#options
    if (shared.replication !== undefined && diskSince === incarnation)
      shared.checkpoints.noteFirst(incarnation)
    this.#unwatch = store.watch(event => this.#follow(event))
    // What was made or deleted since the constructor looked.
    const topics = [...store.topics().values()]
    const ids = new Set(topics.map(topic => topic.id))
    for (const [name, tablets] of this.#byTopic)
      if (tablets.some(tablet => tablet !== undefined && !ids.has(tablet.topicId))) this.#byTopic.delete(name)
    for (const topic of topics) {
      // What was moved away meanwhile is a stranger's directory.
      const tablets = this.#byTopic.get(topic.name) ?? []
      for (const { partition } of tablets.filter(tablet => tablet !== undefined))
        if (topic.tablets[partition]?.replicas.includes(self) !== true) tablets[partition] = undefined
      this.#place(topic)
      this.#settle(topic)
    }
    const known = new Set([...this.all()].map(tablet => tablet.identity.name))
    this.#strays.sort(name => {
      const id = topicIdIn(name)
      if (known.has(name) || store.keepsRecords(id)) return undefined
      return store.topicById(id) === undefined ? 'no topic has' : 'other brokers have now'
    })
    const there = new Set(
      shared.world.disk.list(`${dataDirectory}/tablets`).map(name => name.split('.stray')[0]),
    )
    shared.checkpoints.retain(name => known.has(name) || there.has(name))
    this.#work = this.#open([...this.all()], this.#options.clean).then(async () => {
      shared.checkpoints
        .save()
        .catch((error: unknown) => shared.log.warn({ error }, 'could not note what was recovered'))
      await eachAtOnce([...store.topics().values()], claimedAtOnce, topic => this.#align(topic))
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
    const every = (ms: () => number, work: (tablet: Tablet) => Promise<void>): void =>
      this.#every(ms, () => this.#eachTablet(work))
    every(
      () => settings().retentionCheckMs,
      tablet => tablet.applyRetention(settings().producerIdExpirationMs),
    )
    every(
      () => settings().checkpointMs,
      tablet => tablet.checkpoint(),
    )
    this.#every(
      () => settings().checkpointMs,
      async () => this.#failMissing(),
    )
    every(
      () => checkpointLookMs,
      async tablet => {
        if ((tablet.keeping?.uncheckpointedBytes ?? 0) > checkpointBytes) await tablet.checkpoint()
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
    const clean = tablets.every(tablet => tablet.isOpen && tablet.keeping?.isCheckpointed === true)
    for (const tablet of tablets) tablet.close('BROKER_STOPPING')
    return clean
  }

  #every(ms: () => number, work: () => Promise<void>): void {
    this.#options.shared.world.clock.after(ms(), () => {
      if (!this.#stopped) void work().then(() => this.#every(ms, work))
    })
  }

  /** What is written to files that have no name any more is lost: nobody shall be told that it is kept. */
  #failMissing(): void {
    const there = this.#directories()
    for (const tablet of this.all()) {
      const { name } = tablet.identity
      if (!tablet.isOpen || there === undefined || there.has(name)) continue
      // Noted as well, so that the next start does not take it for one that never was.
      const remedy =
        (tablet.assignment?.replicas.length ?? 1) > 1
          ? 'Start the broker again: it is copied anew from the replicas in sync. Where no other is, bring the directory back before'
          : 'Stop the broker, bring the directory back and start it, or delete the topic'
      tablet.syncFailed(`its directory ${name} was taken away while the broker ran. ${remedy}`)
    }
  }

  /** Undefined when the disk does not say. */
  #directories(): ReadonlySet<string> | undefined {
    const { shared, dataDirectory } = this.#options
    try {
      return new Set(shared.world.disk.list(`${dataDirectory}/tablets`))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Set()
      shared.log.warn({ error }, 'the directories of tablets could not be listed')
      return undefined
    }
  }

  #eachTablet(work: (tablet: Tablet) => Promise<void>): Promise<void> {
    return this.#each([...this.all()], work)
  }

  async #each(tablets: readonly Tablet[], work: (tablet: Tablet) => Promise<void>): Promise<void> {
    const { log } = this.#options.shared
    await eachAtOnce(tablets, openedAtOnce, async tablet => {
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
        this.#giveUpLost(event.topic)
        const added = this.#place(event.topic)
        this.#settle(event.topic)
        this.#dropTaken(event.topic)
        void this.#tryToAlign(event.topic)
        if (added.length > 0) this.#then(() => this.#serve(event.topic, added))
        return
      }
      case 'topic-deleted': {
        const tablets = (this.#byTopic.get(event.topic.name) ?? []).filter(tablet => tablet !== undefined)
        this.#byTopic.delete(event.topic.name)
        const { fileDeleteDelayMs } = this.#options.settingsOf(event.topic)
        if (event.kept === true) return this.#then(() => this.#shut(tablets))
        for (const tablet of tablets) tablet.close('UNKNOWN_TOPIC_OR_PARTITION')
        this.#then(() => this.#removeDirectories(tablets, fileDeleteDelayMs, 'its topic was deleted'))
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
    for (const tablet of this.#byTopic.get(topic.name) ?? []) {
      if (tablet === undefined) continue
      const { flush } = tablet.settings
      tablet.settings = settings
      // What only the system has counts no more: whoever waits for it must not wait for the next write.
      if (flush === 'os' && settings.flush === 'fsync') this.#options.shared.groupCommit.request(tablet)
    }
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

  /** Where another leads by now, and nobody counts on what was lost here, it is copied anew. */
  #giveUpLost({ name }: Topic): void {
    for (const tablet of this.#lostHere) {
      if (tablet.topic !== name || !this.#isElsewhere(tablet)) continue
      this.#lostHere.delete(tablet)
      const tablets = this.#byTopic.get(name) ?? []
      if (tablets[tablet.partition] === tablet) tablets[tablet.partition] = undefined
      tablet.close('NOT_LEADER_OR_FOLLOWER')
    }
  }

  /** Their records stay: what comes back begins where they end. */
  async #shut(tablets: readonly Tablet[]): Promise<void> {
    await this.#each(tablets, tablet => tablet.checkpoint())
    for (const tablet of tablets) tablet.close('UNKNOWN_TOPIC_OR_PARTITION')
  }

  async #serve({ id }: Topic, added: Tablet[]): Promise<void> {
    // A topic that comes back may have been left in any state.
    await this.#open(added, false)
    const topic = this.#options.store.topicById(id)
    if (topic !== undefined) await this.#tryToAlign(topic)
  }

  async #open(tablets: Tablet[], clean: boolean): Promise<void> {
    const { shared } = this.#options
    await this.#prepare(tablets)
    const progress = (bytes: number): number => (this.progress.bytesDone += bytes)
    await eachAtOnce(tablets, openedAtOnce, async tablet => {
      if (tablet.role !== 'offline') {
        const found = await openTablet(shared, tablet, clean, progress, this.#isElsewhere(tablet))
        if (found === 'lost' && (await this.#emptied(tablet)))
          await openTablet(shared, tablet, false, progress, false)
        const lagMsMax = shared.replication?.lagMsMax ?? 0
        if (tablet.isUnsure)
          for (const times of [1, 2]) this.#alignLater(tablet.topicId, times * lagMsMax + claimAgainMs)
      }
      this.progress.tabletsDone++
    })
    await this.#noteFound(tablets)
  }

  /** Notes those that were found here without a note: a file of notes was lost, or an older version made them. */
  async #noteFound(tablets: readonly Tablet[]): Promise<void> {
    const { checkpoints } = this.#options.shared
    const found = tablets.filter(one => one.isWaiting && checkpoints.of(one.identity.name) === undefined)
    try {
      await Promise.all(found.map(one => checkpoints.setLogStart(one.identity.name, one.logStart)))
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      for (const tablet of found) tablet.fail(`it could not be noted: ${(error as Error).message}`)
    }
  }

  /** Makes the directories that are missing and notes that they are here, all on the disk before anything counts on them; or takes tablets offline. */
  async #prepare(tablets: readonly Tablet[]): Promise<void> {
    const { shared, dataDirectory, incarnation } = this.#options
    const { checkpoints, world } = shared
    const [begun, saves]: [Tablet[], Promise<void>[]] = [[], []]
    const there = new Set(world.disk.list(`${dataDirectory}/tablets`))
    for (const tablet of tablets) {
      const { name } = tablet.identity
      const lost = this.#lost(tablet, there)
      if (lost !== undefined && !this.#isElsewhere(tablet)) {
        this.#lostHere.add(tablet)
        tablet.fail(lost)
        continue
      }
      const known = checkpoints.of(name)
      tablet.bornIn = known?.bornIn ?? tablet.bornIn
      if (lost !== undefined) this.#beginsAnew(tablet, lost)
      if (there.has(name)) continue
      begun.push(tablet)
      // First of all: an empty directory alone would look like one that never had any records.
      if (known !== undefined || lost !== undefined) saves.push(checkpoints.beginAnew(name, incarnation))
    }
    if (begun.length === 0) return
    try {
      await Promise.all(saves)
      for (const { identity } of begun) world.disk.makeDirectory(identity.directory)
      await world.disk.syncDirectory(`${dataDirectory}/tablets`)
      const unknown = begun.filter(({ identity }) => checkpoints.of(identity.name) === undefined)
      await Promise.all(unknown.map(({ identity }) => checkpoints.begin(identity.name)))
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      for (const tablet of begun)
        tablet.fail(`its directory could not be made and noted: ${(error as Error).message}`)
    }
  }

  /** Sets aside the directory of a tablet that has lost some of its records, and makes an empty one. Answers whether it could. */
  async #emptied(tablet: Tablet): Promise<boolean> {
    const { shared, dataDirectory, incarnation } = this.#options
    const { name, directory } = tablet.identity
    const { disk } = shared.world
    this.#beginsAnew(tablet, 'offsets that were on its disk are gone')
    try {
      await shared.checkpoints.beginAnew(name, incarnation)
      this.#strays.setAside(name, 'has lost records')
      disk.makeDirectory(directory)
      await disk.syncDirectory(`${dataDirectory}/tablets`)
      return true
    } catch (error) {
      if (error instanceof InvariantViolation) throw error
      tablet.fail(
        `it has lost records, and its directory could not be set aside: ${(error as Error).message}`,
      )
      return false
    }
  }

  #beginsAnew(tablet: Tablet, reason: string): void {
    const { topic, partition } = tablet
    const { incarnation, diskSince, shared } = this.#options
    tablet.bornIn = incarnation
    // On a new disk that is all of them, which is told once.
    if (diskSince !== incarnation) shared.log.warn({ topic, partition, reason }, 'a replica is copied anew')
  }

  /** Why nothing may begin, or go on, in the name of this replica. */
  #lost(tablet: Tablet, there: ReadonlySet<string>): string | undefined {
    const { self, incarnation, diskSince, shared } = this.#options
    const { name } = tablet.identity
    const assignment = this.#assignmentOf(tablet)
    if (assignment === undefined) return undefined
    const notedSince = shared.checkpoints.noteAll(incarnation)
    const known = shared.checkpoints.of(name)
    const hasStray = there.has(`${name}.stray`)
    const lost = lostWith(assignment, self, diskSince, known?.bornIn)
    if (lost !== undefined || there.has(name)) return lost
    return missingWith(assignment, this.#options, hasStray, hasStray || known !== undefined, notedSince)
  }

  /** Others in sync have all of it, and nobody counts on this run yet: it may be copied anew. */
  #isElsewhere(tablet: Tablet): boolean {
    const { self, incarnation, shared } = this.#options
    const isr = this.#assignmentOf(tablet)?.isr ?? []
    if (shared.replication === undefined || !isr.some(({ broker }) => broker !== self)) return false
    return !isr.some(entry => entry.broker === self && entry.incarnation >= incarnation)
  }

  #assignmentOf({ topicId, partition }: Tablet): TabletAssignment | undefined {
    return this.#options.store.topicById(topicId)?.tablets[partition]
  }

  /** Replicas that other brokers have now: a move that has ended takes what is on the disk along, anything else sets it aside. */
  #dropTaken(topic: Topic): void {
    const { self, shared, settingsOf } = this.#options
    const tablets = this.#byTopic.get(topic.name) ?? []
    const moved: Tablet[] = []
    for (const tablet of tablets) {
      if (tablet?.topicId !== topic.id || topic.tablets[tablet.partition]?.replicas.includes(self) === true)
        continue
      tablets[tablet.partition] = undefined
      const wasMoving = tablet.assignment?.removing.includes(self) === true
      tablet.close('NOT_LEADER_OR_FOLLOWER')
      if (wasMoving) {
        moved.push(tablet)
        continue
      }
      const { name } = tablet.identity
      this.#then(async () => {
        try {
          this.#strays.setAside(name, 'other brokers have now')
        } catch (error) {
          shared.log.warn({ name, error }, 'could not set aside the directory of a tablet; it stays')
        }
      })
    }
    const { fileDeleteDelayMs } = settingsOf(topic)
    if (moved.length > 0)
      this.#then(() => this.#removeDirectories(moved, fileDeleteDelayMs, 'its replica was moved away'))
  }

  /** Brings the topic's opened tablets into the roles that it says, and claims what this run may lead. */
  async #align(topic: Topic): Promise<void> {
    const claims: Tablet[] = []
    for (const tablet of this.#byTopic.get(topic.name) ?? []) {
      if (tablet?.topicId !== topic.id || !(tablet.isOpen || tablet.isWaiting)) continue
      const assignment = topic.tablets[tablet.partition]
      assert(assignment !== undefined, 'a tablet that was placed has an assignment')
      const seen = tablet.assignment
      if (seen !== undefined && seen.version > assignment.version) continue
      const stance = stanceOf(tablet, assignment, this.#options)
      if (stance === 'lead') tablet.lead(assignment)
      else if (stance === 'lead on') tablet.assigned(assignment)
      else if (stance === 'follow') tablet.follow(assignment)
      else if (!this.#claiming.has(tablet)) {
        // Until it is granted others may lead as well: nobody waits here for that.
        if (tablet.serves) tablet.follow(assignment)
        claims.push(tablet)
      }
    }
    if (claims.length > 0) await this.#claim(topic, claims)
  }

  /** A new run leads in new epochs, so that no offset is given twice within one. */
  async #claim(topic: Topic, claims: readonly Tablet[]): Promise<void> {
    const bySlice = Map.groupBy(claims, tablet => Math.floor(tablet.partition / sliceTablets))
    for (const tablet of claims) this.#claiming.add(tablet)
    let granted = true
    try {
      for (const tablets of bySlice.values()) granted = (await this.#claimSlice(topic, tablets)) && granted
    } finally {
      for (const tablet of claims) this.#claiming.delete(tablet)
    }
    const now = this.#options.store.topicById(topic.id)
    if (now === undefined || this.#stopped) return
    if (granted) await this.#align(now)
    else this.#alignLater(topic.id)
  }

  async #claimSlice(topic: Topic, tablets: readonly Tablet[]): Promise<boolean> {
    const { store, self: broker, incarnation } = this.#options
    const changes = tablets.flatMap(({ partition }) => {
      const assignment = topic.tablets[partition]
      return assignment === undefined ? [] : [claimLeadership(partition, assignment, { broker, incarnation })]
    })
    return (await store.changeTablets(topic.id, changes)) === 'changed'
  }

  async #tryToAlign(topic: Topic): Promise<void> {
    try {
      await this.#align(topic)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#options.shared.log.warn(
        { topic: topic.name, reason: error.message },
        'leadership could not be claimed; it is tried again',
      )
      this.#alignLater(topic.id)
    }
  }

  #alignLater(id: string, afterMs = claimAgainMs): void {
    const { store, shared } = this.#options
    shared.world.clock.after(afterMs, () => {
      const topic = store.topicById(id)
      if (topic !== undefined && !this.#stopped) void this.#tryToAlign(topic)
    })
  }

  async #removeDirectories(tablets: readonly Tablet[], delayMs: number, why: string): Promise<void> {
    const { shared, dataDirectory } = this.#options
    const { disk, clock } = shared.world
    for (const { identity } of tablets) {
      let doomed = `${identity.directory}.deleted`
      try {
        // One that was moved here and away again may be there already.
        for (let i = 2; disk.stat(doomed) !== undefined; i++) doomed = `${identity.directory}.deleted.${i}`
        if (disk.stat(identity.directory) !== undefined) disk.rename(identity.directory, doomed)
        await disk.syncDirectory(`${dataDirectory}/tablets`)
        await shared.checkpoints.delete(identity.name)
        shared.log.info({ topic: identity.topic, partition: identity.partition, why }, 'tablet deleted')
        clock.after(delayMs, () => this.#strays.remove(doomed))
      } catch (error) {
        shared.log.warn(
          { directory: identity.directory, error },
          'could not remove a deleted tablet; it is set aside at the next start',
        )
      }
    }
  }
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
