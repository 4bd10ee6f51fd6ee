import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  promises as pool,
  readdirSync,
  renameSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { tryLock } from 'fs-native-extensions'
import type { Disk, DiskEntry } from '../../base/world.ts'
import { openFile } from './disk-file.ts'

/** Windows opens no directories; NTFS journals their entries itself. */
const directoriesSync = process.platform !== 'win32'

export const realDisk: Disk = {
  makeDirectory,
  list: path => readdirSync(path).sort(),
  stat,
  open: openFile,
  rename: renameSync,
  syncDirectory,
  syncDirectoryNow,
  remove: path => pool.rm(path, { recursive: true, force: true }),
  lock,
  space: path => {
    const { bavail, blocks, bsize } = statfsSync(path)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
}

function makeDirectory(path: string): void {
  const whole = resolve(path)
  const parent = dirname(whole)
  if (stat(whole)?.kind === 'directory') {
    syncWhatStands(parent)
    return
  }
  if (parent !== whole) makeDirectory(parent)
  mkdirSync(whole)
  syncDirectoryNow(parent)
}

/** A process killed between making a directory and syncing its parent leaves the sync to the next one. */
function syncWhatStands(parent: string): void {
  try {
    syncDirectoryNow(parent)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error // what we may not open, we have not changed
  }
}

function stat(path: string): DiskEntry | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return undefined
  return {
    kind: found.isDirectory() ? 'directory' : 'file',
    sizeBytes: found.size,
    modifiedMs: found.mtimeMs,
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (!directoriesSync) return
  const directory = await pool.open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function syncDirectoryNow(path: string): void {
  if (!directoriesSync) return
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

function lock(path: string): { release(): void } | undefined {
  const descriptor = openSync(path, 'a')
  if (!tryLock(descriptor)) {
    closeSync(descriptor)
    return undefined
  }
  let held = true
  return {
    release() {
      if (held) closeSync(descriptor)
      held = false
    },
  }
}
