/** The offsets that one group has committed, by topic and partition. */
import type { StoredOffset } from '../../protocol/kafka/group-records.ts'
import { overheadBytes, type GroupMemory } from './group-memory.ts'

export type CommittedOffset = {
  readonly topic: string
  readonly partition: number
  readonly value: StoredOffset
}

export class CommittedOffsets implements Iterable<CommittedOffset> {
  readonly #memory: GroupMemory
  readonly #topics = new Map<string, Map<number, StoredOffset>>()
  #size = 0

  constructor(memory: GroupMemory) {
    this.#memory = memory
  }

  get size(): number {
    return this.#size
  }

  get(topic: string, partition: number): StoredOffset | undefined {
    return this.#topics.get(topic)?.get(partition)
  }

  set(topic: string, partition: number, value: StoredOffset): void {
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) this.#topics.set(topic, (partitions = new Map()))
    const before = partitions.get(partition)
    partitions.set(partition, value)
    if (before === undefined) this.#size += 1
    this.#memory.change(offsetBytes(value) - (before === undefined ? 0 : offsetBytes(before)))
  }

  delete(topic: string, partition: number): void {
    const partitions = this.#topics.get(topic)
    const before = partitions?.get(partition)
    if (partitions === undefined || before === undefined) return
    partitions.delete(partition)
    if (partitions.size === 0) this.#topics.delete(topic)
    this.#size -= 1
    this.#memory.change(-offsetBytes(before))
  }

  /** How many bytes more these take than what they replace; of a place that is named twice the last one counts. */
  growthBy(offsets: readonly CommittedOffset[]): number {
    let bytes = 0
    const named = new Map<string, number>()
    for (const { topic, partition, value } of offsets) {
      const place = `${topic}-${partition}`
      const known = this.get(topic, partition)
      const before = named.get(place) ?? (known === undefined ? 0 : offsetBytes(known))
      const after = offsetBytes(value)
      named.set(place, after)
      bytes += after - before
    }
    return bytes
  }

  /** The group is gone: so is the memory. */
  clear(): void {
    for (const { value } of this) this.#memory.change(-offsetBytes(value))
    this.#topics.clear()
    this.#size = 0
  }

  *[Symbol.iterator](): Generator<CommittedOffset, void> {
    for (const [topic, partitions] of this.#topics)
      for (const [partition, value] of partitions) yield { topic, partition, value }
  }

  /** Those of one topic. */
  *of(topic: string): Generator<CommittedOffset, void> {
    for (const [partition, value] of this.#topics.get(topic) ?? []) yield { topic, partition, value }
  }
}

const offsetBytes = ({ metadata }: { readonly metadata: string }): number =>
  overheadBytes.offset + metadata.length
