/**
 * Room on the disk that is kept for the small files which say where things are: checkpoints, snapshots, control.json. Without it a full disk could
 * not even be told to delete something. Appends never get it; it is taken back when there is room again.
 */
import { MIB } from '../../base/quantities.ts'
import type { Clock, Disk, DiskFile } from '../../base/world.ts'

const reserveBytes = 4 * MIB
const lookMs = 10_000

export class Reserve {
  readonly #disk: Disk
  readonly #path: string
  #held = false

  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }

  /** Takes the room, when the disk has as much and as much again. */
  hold(): void {
    if (this.#held) return
    try {
      if (this.#disk.stat(this.#path)?.sizeBytes !== reserveBytes) {
        if (this.#disk.space(this.#path.slice(0, this.#path.lastIndexOf('/'))).freeBytes < 2 * reserveBytes)
          return
        const file = this.#disk.open(
          this.#path,
          this.#disk.stat(this.#path) === undefined ? 'create' : 'write',
        )
        try {
          file.write([Buffer.alloc(reserveBytes)], 0)
        } finally {
          file.close()
        }
      }
      this.#held = true
    } catch {
      // The disk is full or failing: whoever writes next says so.
    }
  }

  /** Holds it now, and again whenever it was given up and there is room. Answers how to stop that. */
  keep(clock: Clock): () => void {
    this.hold()
    let next: { cancel(): void } | undefined
    const look = (): void => {
      this.hold()
      next = clock.after(lookMs, look)
    }
    next = clock.after(lookMs, look)
    return () => next?.cancel()
  }

  /** Gives the room back to the disk; false when it is not there to give. */
  giveUp(): boolean {
    if (!this.#held) return false
    this.#held = false
    const file = this.#disk.open(this.#path, 'write')
    try {
      file.truncate(0)
    } finally {
      file.close()
    }
    return true
  }
}

/** The same disk, but files that are written beside others to replace them (`.tmp`, base/files.ts) may use up the reserve. */
export function withReserve(disk: Disk, reserve: Reserve): Disk {
  return {
    ...disk,
    open(path, mode) {
      const file = disk.open(path, mode)
      return path.endsWith('.tmp') ? reserved(file, reserve) : file
    },
  }
}

const reserved = (file: DiskFile, reserve: Reserve): DiskFile => ({
  path: file.path,
  sizeBytes: () => file.sizeBytes(),
  read: (into, at) => file.read(into, at),
  readLater: (into, at) => file.readLater(into, at),
  write(pieces, at) {
    try {
      file.write(pieces, at)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC' || !reserve.giveUp()) throw error
      file.write(pieces, at)
    }
  },
  truncate: sizeBytes => file.truncate(sizeBytes),
  sync: () => file.sync(),
  syncNow: () => file.syncNow(),
  close: () => file.close(),
})
