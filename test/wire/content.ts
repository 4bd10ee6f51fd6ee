/** What the wire tests write: the same bytes on every run, made from a seed. */

/** A small generator of repeatable chance (mulberry32): each call answers a number in [0, 1). */
export function chance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const words =
  'stone ledger offset segment epoch river größe 石碑 quarry chisel basalt granite inscription memory archive slate'.split(
    ' ',
  )

/** About `bytes` bytes of words: compressible, with characters of one to three bytes, without line ends, tabs or colons. */
export function prose(bytes: number, next: () => number): string {
  let text = ''
  while (text.length < bytes) text += `${words[Math.floor(next() * words.length)]} `
  return text.slice(0, bytes).trimEnd() || 'stone'
}

export type Sample = { readonly key: string; readonly value: string }

/** `count` records with repeating keys and values of 1 to 200 characters, each value telling its place. */
export function samples(count: number, seed: number): Sample[] {
  const next = chance(seed)
  return Array.from({ length: count }, (_, i) => ({
    key: `key-${Math.floor(next() * 97)}`,
    value: `${i} ${prose(Math.floor(next() * 200), next)}`,
  }))
}

/** `count` lines of 8 to about 110 bytes (60 on average), each ended by \n, with bytes that are no text among them. */
export function lines(count: number, seed: number): Buffer {
  const next = chance(seed)
  const pool = Buffer.from(prose(64 * 1024, next))
  for (let i = 0; i < pool.length; i += 1 + Math.floor(next() * 400)) pool[i] = 128 + Math.floor(next() * 128)
  const target = Buffer.allocUnsafe(count * 128)
  let at = 0
  for (let i = 0; i < count; i++) {
    at += target.write(String(i).padStart(7, '0'), at, 'latin1')
    const start = Math.floor(next() * (pool.length - 128))
    at += pool.copy(target, at, start, start + Math.floor(next() * 105))
    target[at++] = 0x0a
  }
  return target.subarray(0, at)
}

/** Where two long lists part, in few words; undefined when they are the same. (A test runner's own diff of them takes hours.) */
export function firstDifference<Item>(
  received: readonly Item[],
  expected: readonly Item[],
): string | undefined {
  const at = expected.findIndex((item, i) => received[i] !== item)
  if (at < 0 && received.length === expected.length) return undefined
  const place = at < 0 ? expected.length : at
  const lengths = `${received.length} received, ${expected.length} expected`
  return `${lengths}; at ${place}: received ${String(received[place])}, expected ${String(expected[place])}`
}
