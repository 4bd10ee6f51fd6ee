import { readFileSync } from 'node:fs'
import { time } from './batch-facts.ts'
import type { Dumping } from './dumping.ts'

type Snapshot = {
  readonly producers: readonly {
    readonly id: number
    readonly epoch: number
    readonly lastAppendMs: number
    readonly batches: readonly (readonly [
      firstSequence: number,
      lastSequence: number,
      baseOffset: number,
      lastOffset: number,
    ])[]
  }[]
}

/** `.snapshot`: what the tablet knew of idempotent producers when its log ended at the offset in the name. */
export function* dumpSnapshot(fd: number, dumping: Dumping): Generator<string> {
  const { producers } = parsed(fd, dumping)
  for (const { id, epoch, lastAppendMs, batches } of producers) {
    dumping.count('producers', 1)
    const rows = batches.map(([first, last, base, end]) => ({
      first_sequence: first,
      last_sequence: last,
      base_offset: base,
      last_offset: end,
    }))
    yield dumping.json
      ? JSON.stringify({ producer_id: id, producer_epoch: epoch, last_append: lastAppendMs, batches: rows })
      : [
          `producer ${id}/${epoch}  last append ${time(lastAppendMs)}`,
          ...batches.map(
            ([first, last, base, end]) => `sequence ${first}..${last} at offsets ${base}..${end}`,
          ),
        ].join('  ')
  }
}

function parsed(fd: number, dumping: Dumping): Snapshot {
  try {
    const snapshot = JSON.parse(readFileSync(fd, 'utf8')) as Partial<Snapshot>
    if (Array.isArray(snapshot.producers)) return snapshot as Snapshot
  } catch {
    // Told below.
  }
  dumping.damaged(0, 'it is no JSON with producers, as Stele writes it')
  return { producers: [] }
}
