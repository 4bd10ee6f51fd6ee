/**
 * What is put in the place of sound batches: in come the bytes that stand there and others of the same length, out comes the part in which they differ. What stood
 * there is kept beside the log first, so that nothing is lost where the wrong one was believed.
 */
import { replaceFile } from '../../base/files.ts'
import type { Offset } from '../../base/quantities.ts'
import type { Disk } from '../../base/world.ts'
import { batchBytesOf } from '../../protocol/kafka/record-batch.ts'

const suffix = '.differs'
/** More is no disk that forgets a little: a person has to look. */
const keptMax = 16

/** From the first to behind the last batch of `cover` that is not the same in `own`, in bytes; undefined when all are. Both are equally long. */
export function differingPart(own: Buffer, cover: Buffer): { from: number; to: number } | undefined {
  let part: { from: number; to: number } | undefined
  for (let at = 0; at < cover.length;) {
    const end = at + batchBytesOf(cover, at)
    if (!own.subarray(at, end).equals(cover.subarray(at, end))) part = { from: part?.from ?? at, to: end }
    at = end
  }
  return part
}

/**
 * Keeps `bytes`, which stand from offset `from` on, as a file of their own in the directory of the log, durably. False when there are too many such files already.
 * @throws the disk's error: nothing is kept
 */
export async function keepBeside(
  disk: Disk,
  directory: string,
  from: Offset,
  bytes: Buffer,
): Promise<boolean> {
  const kept = new Set(disk.list(directory).filter(name => name.endsWith(suffix)))
  if (kept.size >= keptMax) return false
  const names = Array.from(
    { length: keptMax },
    (_, n) => `${String(from).padStart(20, '0')}.log.${n}${suffix}`,
  )
  const name = names.find(one => !kept.has(one))
  if (name === undefined) return false
  await replaceFile(disk, `${directory}/${name}`, bytes)
  return true
}
