const seed = 0x9747b28c
const m = 0x5bd1e995

/** The 32-bit murmur2 hash of `key` with Kafka's seed, as a signed number (org.apache.kafka.common.utils.Utils.murmur2). */
export function murmur2(key: Buffer): number {
  const { length } = key
  let hash = seed ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let k = Math.imul(key.readInt32LE(at), m)
    k = Math.imul(k ^ (k >>> 24), m)
    hash = Math.imul(hash, m) ^ k
  }
  if (at < length) hash = Math.imul(hash ^ key.readUIntLE(at, length - at), m)
  hash = Math.imul(hash ^ (hash >>> 13), m)
  return hash ^ (hash >>> 15)
}

/** The partition, of `partitions`, that Kafka's default partitioner gives a record with this key. */
export const partitionForKey = (key: Buffer, partitions: number): number =>
  (murmur2(key) & 0x7fffffff) % partitions
