/**
 * How a cleaned segment takes the place of others: one rename decides. Before it the old segments are the log; after it the file
 * `<from>-<to>.swap` is, in place of every segment that begins in [from, to), and whoever finds it finishes what is left to do, as often as it
 * takes. So a crash at any moment leaves the old segments or the new one, never both nor neither.
 */
import { offset, type Offset } from '../../../base/quantities.ts'
import type { Disk } from '../../../base/world.ts'
import { segmentPath } from '../segment-names.ts'
import type { Segment } from '../segment.ts'
import { cleanedSuffix } from './cleaned-segment.ts'

/** The rename was made and the rest failed: what is on the disk will be known only after the next start. */
export class SwapUnfinished extends Error {
  override name = 'SwapUnfinished'
}

const swapPath = (directory: string, from: number, to: number): string =>
  `${directory}/${digits(from)}-${digits(to)}.swap`

const digits = (n: number): string => String(n).padStart(20, '0')

const swapName = /^(\d{20})-(\d{20})\.swap$/
const segmentFile = /^(\d{20})\.(?:log|index|timeindex)$/

/**
 * Puts the cleaned files of the first of `old` in place of all of `old`, which are open, read on, and end at `to`. Answers the files to remove
 * later. `mark` tells them from those of earlier swaps.
 * @throws SwapUnfinished; another error before anything was changed
 */
export async function swapIn(
  disk: Disk,
  directory: string,
  old: readonly Segment[],
  to: Offset,
  mark: string,
): Promise<string[]> {
  const from = old[0]?.baseOffset ?? to
  const swap = swapPath(directory, from, to)
  disk.rename(segmentPath(directory, from, 'log') + cleanedSuffix, swap)
  try {
    await disk.syncDirectory(directory)
    const replaced = old.flatMap(segment => segment.markReplaced(mark))
    await disk.syncDirectory(directory)
    disk.rename(swap, segmentPath(directory, from, 'log'))
    for (const kind of ['index', 'timeindex'] as const) {
      const path = segmentPath(directory, from, kind)
      disk.rename(path + cleanedSuffix, path)
    }
    await disk.syncDirectory(directory)
    return replaced
  } catch (error) {
    throw new SwapUnfinished(`${swap} could not be put in its place: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** For the start: finishes swaps that a crash has cut off. The indexes of the new segment are made anew when they are asked for. */
export async function finishSwaps(disk: Disk, directory: string): Promise<void> {
  for (const name of disk.list(directory)) {
    const [, from, to] = swapName.exec(name) ?? []
    if (from === undefined || to === undefined) continue
    // The swap itself may not be durable yet, and must be before anything goes that it stands for.
    await disk.syncDirectory(directory)
    for (const other of disk.list(directory)) {
      const base = Number(segmentFile.exec(other)?.[1] ?? -1)
      if (base >= Number(from) && base < Number(to)) await disk.remove(`${directory}/${other}`)
    }
    await disk.syncDirectory(directory)
    disk.rename(`${directory}/${name}`, segmentPath(directory, offset(Number(from)), 'log'))
    await disk.syncDirectory(directory)
  }
}
