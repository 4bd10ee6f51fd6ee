import type { Disk } from './world.ts'

/** The whole content of a small file (checkpoints, configuration), or undefined when there is none. */
export function readFile(disk: Disk, path: string): Buffer | undefined {
  if (disk.stat(path) === undefined) return undefined
  const file = disk.open(path, 'read')
  try {
    const content = Buffer.alloc(file.sizeBytes())
    return content.subarray(0, file.read(content, 0))
  } finally {
    file.close()
  }
}

/**
 * Replaces `path` by `content` so that a crash at any moment leaves the old or the new file, whole: write beside it, sync,
 * rename, sync the directory. `path` must have a parent directory.
 */
export async function replaceFile(disk: Disk, path: string, content: Buffer): Promise<void> {
  const file = writeBeside(disk, path, content)
  try {
    await file.sync()
  } finally {
    file.close()
  }
  disk.rename(`${path}.tmp`, path)
  await disk.syncDirectory(parentOf(path))
}

/** `replaceFile` on the event loop; for start and stop. */
export function replaceFileNow(disk: Disk, path: string, content: Buffer): void {
  const file = writeBeside(disk, path, content)
  try {
    file.syncNow()
  } finally {
    file.close()
  }
  disk.rename(`${path}.tmp`, path)
  disk.syncDirectoryNow(parentOf(path))
}

function writeBeside(disk: Disk, path: string, content: Buffer) {
  const beside = `${path}.tmp`
  const file = disk.open(beside, disk.stat(beside) === undefined ? 'create' : 'write')
  try {
    file.truncate(0)
    file.write([content], 0)
  } catch (error) {
    file.close()
    throw error
  }
  return file
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/'
