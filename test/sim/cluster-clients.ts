/** Clients of a simulated cluster, as real ones behave: they ask again until they know, and go by the newest leader they have heard of. What they are told goes into the history. */
import { crc32c } from '../../base/crc32c.ts'
import { offset, type BrokerId } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Acks } from '../../broker/tablet/appending.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { baseOffsetOf, batchBytesOf, checkBatch, lastOffsetOf } from '../../protocol/kafka/record-batch.ts'
import { buildBatch, readRecords, type NewRecord } from '../../protocol/kafka/records.ts'
import { append, type Appended } from './broker.ts'
import type { Held, Told } from './checker.ts'
import type { SimCluster, SimNode } from './cluster.ts'

const askedMsMax = 600
const againMs = { min: 5, max: 60 }
const recordsMax = 10_000
const anotherId = 1_000

/** Who a client talks to about one tablet. */
export class Client {
  readonly cluster: SimCluster
  readonly topicId: string
  readonly partition: number
  /** The newest leader epoch it has heard of: older leaders are not believed (KIP-320). */
  #epoch = -1
  stopped = false

  constructor(cluster: SimCluster, topicId: string, partition: number) {
    this.cluster = cluster
    this.topicId = topicId
    this.partition = partition
  }

  get tablet(): string {
    return `${this.topicId}/${this.partition}`
  }

  /** Lets the leader that some broker names do something, or the broker `of`; undefined when it cannot be found, is not there or does not answer. */
  ask<T>(what: (tablet: Tablet) => Promise<T> | T, of?: BrokerId): Promise<T | undefined> {
    const { random, clock, nodes } = this.cluster
    const node = random.pick(nodes as [SimNode, ...SimNode[]])
    const named = node.broker?.store.topicById(this.topicId)?.tablets[this.partition]
    if (named === undefined || named.epoch < this.#epoch) return Promise.resolve(undefined)
    this.#epoch = named.epoch
    const leader = nodes.find(({ id }) => id === (of ?? named.leader))
    if (leader?.broker === undefined) return Promise.resolve(undefined)
    return new Promise(resolve => {
      clock.after(always, askedMsMax, () => resolve(undefined))
      const { broker } = leader
      leader.sim.world.clock.after(random.between(0.05, 0.5), () => {
        const tablet = [...(broker?.tablets.all() ?? [])].find(
          one => one.topicId === this.topicId && one.partition === this.partition,
        )
        if (tablet?.epoch !== named.epoch) return resolve(undefined)
        void (async () => resolve(await what(tablet)))().catch((error: unknown) => {
          if (error instanceof Refusal) resolve(undefined)
          else this.cluster.failed(error)
        })
      })
    })
  }

  pause(): Promise<void> {
    const { random, clock } = this.cluster
    return new Promise(resolve => clock.after(always, random.between(againMs.min, againMs.max), resolve))
  }
}

const always = { alive: true }

/** A producer with idempotence, and acks=all where nothing else is said: sends one batch after the other, each until it is answered. */
export class Producer extends Client {
  #id: number
  readonly #tell: (told: Told) => void
  #sequence = 0
  #number = 0
  /** A batch is on its way. */
  busy = false
  acknowledged = 0
  /** How long a batch waited at most, from when it was first sent. */
  longestMs = 0
  readonly acks: Acks
  /** Records before its next one may be gone: it goes on under another id then, as clients do (KIP-360). */
  survivesLoss = false
  /** Its records have keys, of so many, and are tombstones now and then; 0: they have none. */
  keys = 0

  constructor(
    cluster: SimCluster,
    topicId: string,
    partition: number,
    id: number,
    tell: (told: Told) => void,
    acks: Acks = -1,
  ) {
    super(cluster, topicId, partition)
    this.acks = acks
    this.#id = id
    this.#tell = tell
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      this.busy = true
      await this.#send()
      this.busy = false
      await this.pause()
    }
  }

  async #send(): Promise<void> {
    const { random, clock } = this.cluster
    const count = 1 + random.below(3)
    const number = this.#number++
    const values = Array.from({ length: count }, (_, i) => `p${this.#id}-${number}#${i}`)
    const keys = values.map(() => (this.keys === 0 ? undefined : `k${random.below(this.keys)}`))
    const records = values.map((value, i): NewRecord => {
      const key = keys[i]
      const filled = Buffer.from(value.padEnd(10 + random.below(200), '.'))
      const isTombstone = key !== undefined && random.chance(0.1)
      return {
        key: key === undefined ? null : Buffer.from(key),
        value: isTombstone ? null : filled,
        // What no value says.
        headers: isTombstone ? [['tombstone', filled]] : [],
        timestamp: clock.nowMs(),
      }
    })
    const built = () =>
      buildBatch(records, { producer: { id: this.#id, epoch: 0, baseSequence: this.#sequence } })
    let batch = built()
    const sentMs = clock.monotonicMs()
    while (true) {
      const answer: Appended | undefined = await this.ask(tablet =>
        append(tablet, Buffer.from(batch), this.acks, tablet.nowMs + 500),
      )
      if (answer !== undefined && 'baseOffset' in answer) {
        const { baseOffset } = answer
        this.#tell({ kind: 'acknowledged', tablet: this.tablet, baseOffset, values, keys })
        this.acknowledged += count
        this.longestMs = Math.max(this.longestMs, clock.monotonicMs() - sentMs)
        this.#sequence += count
        return
      }
      const code = answer?.refusal.code
      if (this.survivesLoss && code === 'OUT_OF_ORDER_SEQUENCE_NUMBER') {
        this.#id += anotherId
        this.#sequence = 0
        batch = built()
      } else if (answer !== undefined && !retriable.has(answer.refusal.code))
        throw new Error(
          `${this.tablet}: ${values[0]} was refused: ${answer.refusal.code} ${answer.refusal.message}`,
        )
      await this.pause()
      if (this.stopped) return
    }
  }
}

const retriable = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'REQUEST_TIMED_OUT',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'BROKER_STOPPING',
  // The leader's clock is hours behind: it will be right again.
  'INVALID_TIMESTAMP',
])

/** What stands between two offsets; compaction may have left nothing of it. */
type Got = { readonly from: number; readonly to: number; readonly records: readonly Held[] }

/** A consumer that is assigned the tablet and goes on where it was. */
export class Reader extends Client {
  readonly #name: string
  readonly #tell: (told: Told) => void
  next = 0
  /** Asks each new leader whether it has what was read, and goes back to where it has not (KIP-320). */
  validates = false
  #readEpoch = -1
  #validatedIn = -1

  constructor(
    cluster: SimCluster,
    topicId: string,
    partition: number,
    name: string,
    tell: (told: Told) => void,
  ) {
    super(cluster, topicId, partition)
    this.#name = name
    this.#tell = tell
  }

  async run(): Promise<void> {
    while (!this.stopped) {
      if (this.cluster.random.chance(0.1)) await this.#askLatest()
      const got = await this.turn()
      // An answer that comes too late is one to another question.
      if (got !== undefined && got.from === this.next && got.to > got.from) {
        this.next = got.to
        this.#tell({ kind: 'read', tablet: this.tablet, reader: this.#name, records: got.records })
      }
      await this.pause()
    }
  }

  async #askLatest(): Promise<void> {
    const latest = await this.ask(tablet => (tablet.role === 'leader' ? tablet.latest : undefined))
    if (latest !== undefined)
      this.#tell({ kind: 'latest', tablet: this.tablet, reader: this.#name, offset: latest })
  }

  #validate(tablet: Tablet): void {
    if (!this.validates || this.#readEpoch < 0 || this.#validatedIn === tablet.epoch) return
    const found = tablet.endOfEpoch(this.#readEpoch)
    // Of that epoch and those before nothing is left.
    const endOffset = found.epoch < 0 ? tablet.logStart : found.endOffset
    if (endOffset < this.next) {
      this.next = endOffset
      this.#tell({ kind: 'went back', tablet: this.tablet, reader: this.#name, to: endOffset })
    }
    this.#validatedIn = tablet.epoch
  }

  turn(): Promise<Got | undefined> {
    return this.ask(tablet => this.read(tablet))
  }

  protected async read(tablet: Tablet): Promise<Got> {
    this.#validate(tablet)
    if (tablet.role === 'leader' && tablet.logStart > this.next) {
      this.next = tablet.logStart
      this.#tell({ kind: 'moved', tablet: this.tablet, reader: this.#name, to: this.next })
    }
    const got = await this.readFrom(tablet, this.next)
    if (got.to > got.from) this.#readEpoch = tablet.epochOf(offset(got.to - 1))
    return got
  }

  protected async readFrom(log: Pick<Tablet, 'read'>, from: number): Promise<Got> {
    const batches = await log.read(offset(from), 1 + this.cluster.random.below(2_000), true)
    try {
      const records = batches.pieces.flatMap(piece => recordsIn(piece)).filter(({ offset }) => offset >= from)
      const to = Math.max(from, ...batches.pieces.flatMap(piece => endsIn(piece)))
      return { from, to, records }
    } finally {
      batches.release()
    }
  }
}

/** The same in a rack of its own: it goes where the leader sends it (KIP-392), and back when it is refused there. */
export class NearReader extends Reader {
  #nearest: BrokerId | undefined
  /** Records that followers have served. */
  copied = 0

  override async turn(): Promise<Got | undefined> {
    if (this.#nearest === undefined) return super.turn()
    const { next } = this
    const got = await this.ask(({ copy }) => copy && this.readFrom(copy, next), this.#nearest)
    if (got === undefined || this.cluster.random.chance(0.02)) this.#nearest = undefined
    else this.copied += got.records.length
    return got
  }

  protected override read(tablet: Tablet): Promise<Got> {
    const near = tablet.led?.readableAt(offset(this.next)) ?? []
    const [first] = near
    if (first === undefined) return super.read(tablet)
    this.#nearest = this.cluster.random.pick([first, ...near])
    return Promise.resolve({ from: this.next, to: this.next, records: [] })
  }
}

/** The records of batches that stand back to back, each checked. */
export function recordsIn(bytes: Buffer): Held[] {
  const records: Held[] = []
  for (let at = 0; at + 61 <= bytes.length; at += batchBytesOf(bytes, at)) {
    if (checkBatch(bytes, at, bytes.length) !== undefined) throw new Error(`a damaged batch at ${at}`)
    for (const { offset, key, value, headers } of readRecords(bytes, at, recordsMax)) {
      const text = String(value ?? headers[0]?.[1]).replace(/\.*$/, '')
      records.push({ offset, value: text, ...(key !== null && { key: String(key) }) })
    }
  }
  return records
}

/** Of each batch its offset and a sum of all its bytes. */
export function batchesIn(bytes: Buffer): { baseOffset: number; sum: number }[] {
  const batches: { baseOffset: number; sum: number }[] = []
  for (let at = 0; at + 61 <= bytes.length; at += batchBytesOf(bytes, at)) {
    const sum = crc32c(bytes.subarray(at, at + batchBytesOf(bytes, at)))
    batches.push({ baseOffset: baseOffsetOf(bytes, at), sum })
  }
  return batches
}

/** Where each of the batches ends, whether compaction has left records of it or not. */
function endsIn(bytes: Buffer): number[] {
  const ends: number[] = []
  for (let at = 0; at + 61 <= bytes.length; at += batchBytesOf(bytes, at))
    ends.push(lastOffsetOf(bytes, at) + 1)
  return ends
}
