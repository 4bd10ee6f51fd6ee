/**
 * A simulated API server: calls of its clients enter, answers and watches come out, on simulated time and with the failures a test
 * asks for. What always holds: without such failures it does what `test/contract/kube-api.ts` says, as a real one does.
 */
import type { Clock } from '../../base/world.ts'
import {
  ApiError,
  type KubeApi,
  type KubeObject,
  type ObjectKey,
  type Resource,
  type WatchEvent,
  type WatchOptions,
} from '../../kube/api.ts'
import type { Definition } from './kube/definitions.ts'
import { type JsonMap, overTheWire } from './kube/json.ts'
import { type Kept, Objects, idOf } from './kube/objects.ts'
import { SimWatch } from './kube/watch.ts'
import type { Seeded } from './seeded.ts'

export type Verb = 'get' | 'list' | 'create' | 'apply' | 'patch' | 'replace' | 'delete' | 'watch'

/** A call as it reached the server. */
export type Call = {
  readonly verb: Verb
  readonly plural: string
  /** '' for list and watch. */
  readonly name: string
  readonly subresource: string | undefined
  /** The name of the client's. */
  readonly client: string
}

export type Fault =
  /** It is not carried out. */
  | { readonly code: number; readonly reason?: string; readonly retryAfterSeconds?: number }
  /** There is no answer; what was asked is carried out or not. */
  | { readonly lost: 'before' | 'after'; readonly afterMs?: number }

/** A connection of one process to the server. */
export type SimClient = KubeApi & {
  /** False: nothing gets through, and its watches fall silent, as if the cable was pulled. */
  connected: boolean
}

export type SimKubeOptions = {
  /** The server's own. */
  readonly clock: Clock
  readonly random: Seeded
  /** Beside the usual ones, or in their place. */
  readonly definitions?: readonly Definition[]
}

type Change<T> = { readonly before: T | undefined; readonly after: T | undefined }

/** How long a request or an answer is under way at most. */
const latencyMsMax = 4
const unansweredMs = 30_000
const garbageMs = 200

export class SimKube {
  /** Decides on every call that no `failNext` was for. */
  onCall: ((call: Call) => Fault | undefined) | undefined
  /** How late watches tell what happened, at most; each event by chance, in order. */
  eventDelayMsMax = 0
  /** Every call that was carried out and is not get, list or watch. */
  readonly writes: Call[] = []
  readonly #clock: Clock
  readonly #random: Seeded
  readonly #objects: Objects
  readonly #watches = new Set<SimWatch>()
  readonly #failures: { readonly which: Partial<Call>; readonly fault: Fault }[] = []
  readonly #controllers: ((change: Change<KubeObject>, id: string) => void)[] = []
  #collecting = false

  constructor({ clock, random, definitions = [] }: SimKubeOptions) {
    this.#clock = clock
    this.#random = random
    this.#objects = new Objects({
      random: random.fork(),
      nowMs: () => clock.nowMs(),
      definitions,
      onChange: change => this.#changed(change),
    })
  }

  /** A client that lives with `clock`: when its process is dead, no answer comes, but what it sent may still be carried out. */
  client(clock: Clock = this.#clock, name = 'client'): SimClient {
    return new Client(this, clock, name)
  }

  /** The next call that is like `which` fails. */
  failNext(fault: Fault, which: Partial<Call> = {}): void {
    this.#failures.push({ which, fault })
  }

  /** Breaks the connections of all watches. */
  cutWatches(): void {
    for (const watch of this.#watches) watch.end(connectionLost('the connection was cut'))
  }

  /** Ends all watches as if their time was over. */
  endWatches(): void {
    for (const watch of this.#watches) watch.end(undefined)
  }

  /** Watches of before can be resumed no more: 410. */
  compact(): void {
    this.#objects.compact()
  }

  get watchCount(): number {
    return this.#watches.size
  }

  /** What is there, without time passing. */
  peek<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): T | undefined {
    return this.#objects.get(resource, key) as T | undefined
  }

  peekAll<T extends KubeObject>(resource: Resource<T>): T[] {
    return this.#objects.list(resource, {}) as unknown as T[]
  }

  /**
   * Makes what is there as `change` has it, status and all, without time passing: what kubelets and other controllers would do.
   * Undefined deletes.
   */
  set<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    change: (now: T | undefined) => T | undefined,
  ): void {
    const now = this.peek(resource, key)
    const wanted = change(now)
    if (wanted === undefined) this.#objects.delete(resource, key, {})
    else {
      const made = now ?? this.#objects.create(resource, wanted)
      const version = (made as KubeObject).metadata.resourceVersion
      const object = overTheWire({
        ...wanted,
        metadata: { ...wanted.metadata, resourceVersion: version },
      }) as JsonMap
      if (now !== undefined) this.#objects.replace(resource, object, undefined)
      const status = object['status']
      if (status !== undefined) this.setStatus(resource, key, status)
    }
  }

  /** Writes the status as another controller does. */
  setStatus<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, status: unknown): void {
    if (status !== undefined)
      this.#objects.patch(resource, key, [{ op: 'add', path: '/status', value: status }], 'status')
  }

  /** Tells `act` of every change at once, whoever makes it: for simulated controllers. `act` must not write before its turn is over. */
  onChange<T extends KubeObject>(resource: Resource<T>, act: (change: Change<T>) => void): void {
    this.#controllers.push((change, id) => {
      if (id === idOf(resource)) act(change as Change<T>)
    })
  }

  /** @internal of `Client` */
  get objects(): Objects {
    return this.#objects
  }

  /** @internal of `Client`: after the way of the request carries it out, after the way of the answer tells. */
  async call<Answer>(client: SimClient, clock: Clock, call: Call, act: () => Answer): Promise<Answer> {
    const unanswered = async (afterMs: number): Promise<never> => {
      await pause(clock, afterMs)
      throw connectionLost('the server does not answer')
    }
    await pause(this.#clock, this.#latencyMs())
    if (!client.connected) return unanswered(unansweredMs)
    const fault = this.#faultOf(call)
    if (fault !== undefined && 'code' in fault) {
      await pause(clock, this.#latencyMs())
      throw new ApiError(`the server answers ${fault.code}`, fault)
    }
    if (fault?.lost === 'before') return unanswered(fault.afterMs ?? 0)
    const outcome = attempt(act)
    if (!['get', 'list', 'watch'].includes(call.verb)) this.writes.push(call)
    if (fault?.lost === 'after') return unanswered(fault.afterMs ?? 0)
    await pause(clock, this.#latencyMs())
    if (!client.connected) return unanswered(unansweredMs)
    return outcome()
  }

  /** @internal of `Client` */
  opened(watch: SimWatch): void {
    this.#watches.add(watch)
    watch.onEnd = () => this.#watches.delete(watch)
  }

  /** @internal of `Client`: never earlier than what was told before. */
  eventDelayMs(): number {
    return this.eventDelayMsMax === 0 ? 0 : this.#random.between(0, this.eventDelayMsMax)
  }

  #faultOf(call: Call): Fault | undefined {
    const at = this.#failures.findIndex(({ which }) =>
      Object.entries(which).every(([key, value]) => call[key as keyof Call] === value),
    )
    return at < 0 ? this.onCall?.(call) : this.#failures.splice(at, 1)[0]?.fault
  }

  #latencyMs(): number {
    return this.#random.between(0, latencyMsMax)
  }

  #changed(change: Kept): void {
    for (const watch of this.#watches) watch.tell(change)
    const { before, after } = change as unknown as Change<KubeObject>
    for (const controller of this.#controllers) controller({ before, after }, change.id)
    if (this.#collecting) return
    this.#collecting = true
    this.#clock.after(garbageMs, () => {
      this.#collecting = false
      this.#objects.collectGarbage()
    })
  }
}

class Client implements SimClient {
  connected = true
  readonly #server: SimKube
  readonly #clock: Clock
  readonly #name: string

  constructor(server: SimKube, clock: Clock, name: string) {
    this.#server = server
    this.#clock = clock
    this.#name = name
  }

  get: KubeApi['get'] = (resource, key) =>
    this.#call('get', resource, key.name, objects => objects.get(resource, key) as never)

  list: KubeApi['list'] = (resource, selection = {}) =>
    this.#call('list', resource, '', objects => ({
      items: objects.list(resource, selection) as never,
      resourceVersion: String(objects.resourceVersion),
    }))

  create: KubeApi['create'] = (resource, object) => {
    const sent = overTheWire(object)
    return this.#call(
      'create',
      resource,
      object.metadata.name,
      objects => objects.create(resource, sent) as never,
    )
  }

  apply: KubeApi['apply'] = (resource, object, options) => {
    const sent = overTheWire(object)
    const { name } = object.metadata
    return this.#call('apply', resource, name, objects => objects.apply(resource, sent, options) as never)
  }

  patch: KubeApi['patch'] = (resource, key, patch, { subresource } = {}) => {
    const sent = overTheWire(patch) as unknown as typeof patch
    const act = (objects: Objects) => objects.patch(resource, key, sent, subresource) as never
    return this.#call('patch', resource, key.name, act, subresource)
  }

  replace: KubeApi['replace'] = (resource, object, { subresource } = {}) => {
    const sent = overTheWire(object)
    const act = (objects: Objects) => objects.replace(resource, sent, subresource) as never
    return this.#call('replace', resource, object.metadata.name, act, subresource)
  }

  delete: KubeApi['delete'] = (resource, key, options = {}) =>
    this.#call('delete', resource, key.name, objects => objects.delete(resource, key, options))

  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    if (signal.aborted) return
    const made = new SimWatch({
      clock: this.#clock,
      id: idOf(resource),
      options,
      reaches: () => this.connected,
      delayMs: () => this.#server.eventDelayMs(),
      resourceVersion: () => this.#server.objects.resourceVersion,
    })
    const abort = (): void => made.end(undefined)
    signal.addEventListener('abort', abort)
    try {
      const opening = this.#call('watch', resource, '', objects => {
        const missed = objects.since(idOf(resource), options.resourceVersion)
        if (made.ended) return
        this.#server.opened(made)
        made.open(missed)
      })
      opening.then(
        () => made.answered(),
        (error: unknown) => made.end(error as ApiError),
      )
      yield* made.events() as AsyncGenerator<never>
    } finally {
      signal.removeEventListener('abort', abort)
      made.end(undefined)
    }
  }

  #call<Answer>(
    verb: Verb,
    resource: Pick<Resource, 'plural'>,
    name: string,
    act: (objects: Objects) => Answer,
    subresource?: string,
  ): Promise<Answer> {
    const call = { verb, plural: resource.plural, name, subresource, client: this.#name }
    return this.#server.call(this, this.#clock, call, () => act(this.#server.objects))
  }
}

const connectionLost = (message: string): ApiError => new ApiError(message, { code: 0 })

function attempt<Answer>(act: () => Answer): () => Answer {
  try {
    const answer = act()
    return () => answer
  } catch (error) {
    return () => {
      throw error
    }
  }
}

const pause = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise(resolve => {
    clock.after(delayMs, resolve)
  })
