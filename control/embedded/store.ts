/**
 * The control store without Kubernetes: one file beside the log. In come changes, out go answers once the file is on disk.
 * Changes that arrive while a write is under way share the next one; memory and file always tell the same state.
 */
import { readFile, replaceFile } from '../../base/files.ts'
import type { BrokerId, Incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Disk, Random } from '../../base/world.ts'
import type { Addresses, BrokerStart, TabletChange } from '../model.ts'
import type {
  AddOptions,
  ControlEvent,
  ControlStore,
  NewTopic,
  SettingsChange,
  WriteOptions,
} from '../store.ts'
import * as changes from './changes.ts'
import { decodeState, encodeState } from './file.ts'
import { Draft, emptyState } from './state.ts'
import type { State } from './state.ts'

type Place = { readonly disk: Disk; readonly random: Random; readonly path: string }

/**
 * Opens the control store in the file at `path`, or a new one when there is no file. The directory must be there, and locked
 * for this process.
 * @throws Refusal KAFKA_STORAGE_ERROR when the file is damaged, not ours, of a newer format, or cannot be read
 */
export function openEmbeddedStore(place: Place): ControlStore {
  const content = readOrRefuse(place)
  return new EmbeddedStore(place, content === undefined ? emptyState : decodeState(place.path, content))
}

function readOrRefuse({ disk, path }: Place): Buffer | undefined {
  try {
    return readFile(disk, path)
  } catch (error) {
    throw refusedByDisk(error, `${path} cannot be read`)
  }
}

/** What a disk's error means to who asked; anything else is a bug and passes through. */
function refusedByDisk(error: unknown, what: string): unknown {
  if (!(error instanceof Error && 'code' in error)) return error
  return new Refusal('KAFKA_STORAGE_ERROR', `${what}: ${error.message}`)
}

/** A change that waits for its turn. `apply` answers what to do once the file is written, or has failed. */
type Waiting = {
  apply(draft: Draft): () => void
  fail(error: unknown): void
}

class EmbeddedStore implements ControlStore {
  readonly #place: Place
  #state: State
  #waiting: Waiting[] = []
  #work: Promise<void> | undefined
  readonly #listeners = new Set<(event: ControlEvent) => void>()

  constructor(place: Place, state: State) {
    this.#place = place
    this.#state = state
  }

  topics = () => this.#state.topics
  topicById = (id: string) => this.#state.topicsById.get(id)
  brokers = () => this.#state.brokers
  brokerSettings = () => this.#state.brokerSettings
  keepsRecords = () => false
  isSilent = () => false
  leaseAgeMs = () => undefined

  watch(listener: (event: ControlEvent) => void): () => void {
    const own = (event: ControlEvent) => listener(event)
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  createTopics(wanted: readonly NewTopic[], options: WriteOptions = {}) {
    return this.#change(draft => changes.createTopics(draft, wanted, this.#place.random), options)
  }

  deleteTopic(name: string, id: string) {
    return this.#change(draft => changes.deleteTopic(draft, name, id))
  }

  addTablets(id: string, total: number, options: AddOptions = {}) {
    return this.#change(draft => changes.addTablets(draft, id, total, options), options)
  }

  alterTopicSettings(id: string, change: SettingsChange) {
    return this.#change(draft => changes.alterTopicSettings(draft, id, change))
  }

  alterBrokerSettings(change: SettingsChange) {
    return this.#change(draft => changes.alterBrokerSettings(draft, change))
  }

  changeTablets(id: string, wanted: readonly TabletChange[]) {
    return this.#change(draft => changes.changeTablets(draft, id, wanted))
  }

  registerBroker(start: BrokerStart) {
    return this.#change(draft => changes.registerBroker(draft, start))
  }

  announceAddresses(broker: BrokerId, run: Incarnation, addresses: Addresses) {
    return this.#change(draft => changes.announceAddresses(draft, broker, run, addresses))
  }

  leaving(broker: BrokerId, run: Incarnation) {
    return this.#change(draft => changes.leaving(draft, broker, run))
  }

  async close(): Promise<void> {
    await this.#work
  }

  #change<T>(step: (draft: Draft) => T, { validateOnly = false }: WriteOptions = {}): Promise<T> {
    return new Promise((done, fail) => {
      const apply = (draft: Draft): (() => void) => {
        try {
          const answer = step(validateOnly ? new Draft(draft) : draft)
          return () => done(answer)
        } catch (error) {
          return () => fail(error)
        }
      }
      this.#waiting.push({ apply, fail })
      this.#work ??= this.#writeAll()
    })
  }

  async #writeAll(): Promise<void> {
    await Promise.resolve() // whoever asks in this same turn shares the first write
    while (this.#waiting.length > 0) await this.#writeGroup(this.#waiting.splice(0))
    this.#work = undefined
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    const draft = new Draft(this.#state)
    const answers = group.map(waiting => waiting.apply(draft))
    if (draft.events.length > 0) {
      const failure = await this.#keep(draft)
      if (failure !== undefined) {
        // Also those that were refused: what they were refused for may be what was not kept.
        for (const waiting of group) waiting.fail(failure)
        return
      }
      this.#state = draft.state()
      for (const event of draft.events) for (const listener of this.#listeners) listener(event)
    }
    for (const answer of answers) answer()
  }

  /** Writes the file; answers why it could not. */
  async #keep(next: State): Promise<unknown> {
    const { disk, path } = this.#place
    const content = encodeState(next)
    try {
      await replaceFile(disk, path, content)
    } catch (error) {
      // When only the directory's sync failed, the new file is there already. If the old one cannot be put back, memory
      // and disk no longer tell the same: that error is not caught, and the process stops.
      if (readFile(disk, path)?.equals(content)) {
        await replaceFile(disk, path, encodeState(this.#state))
      }
      return refusedByDisk(error, `the change could not be written to ${path}`)
    }
    return undefined
  }
}
