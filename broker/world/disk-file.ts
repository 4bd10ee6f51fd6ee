import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  writeSync,
  writevSync,
} from 'node:fs'
import { KIB } from '../../base/quantities.ts'
import type { DiskFile } from '../../base/world.ts'

/**
 * No system call writes beyond the next multiple of this. A longer write makes Linux look for page cache in pieces as large, which
 * on a virtual machine often are memory that was never used: a megabyte at once took 2.6 to 5 CPU-seconds a GB where this takes 0.3.
 */
const strideBytes = 64 * KIB
/** Linux takes at most this many pieces in one gathered write (IOV_MAX). */
const gatheredPiecesMax = 1024

const flags = { create: 'wx+', read: 'r', write: 'r+' } as const

export const openFile = (path: string, mode: keyof typeof flags): DiskFile =>
  new RealFile(path, openSync(path, flags[mode]))

class RealFile implements DiskFile {
  readonly path: string
  readonly #descriptor: number
  #closed = false
  #onPool = 0

  constructor(path: string, descriptor: number) {
    this.path = path
    this.#descriptor = descriptor
  }

  sizeBytes(): number {
    return fstatSync(this.#open('fstat')).size
  }

  read(into: Buffer, at: number): number {
    const descriptor = this.#open('read')
    let done = 0
    while (done < into.length) {
      const count = readSync(descriptor, into, done, into.length - done, at + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  readLater(into: Buffer, at: number): Promise<number> {
    return this.#later<number>('read', (descriptor, end) => {
      const readOn = (done: number): void => {
        if (done === into.length) end(null, done)
        else
          read(descriptor, into, done, into.length - done, at + done, (error, count) => {
            if (error !== null || count === 0) end(error, done)
            else readOn(done + count)
          })
      }
      readOn(0)
    })
  }

  write(pieces: readonly Buffer[], at: number): void {
    const descriptor = this.#open('write')
    let position = at
    let rest = pieces.filter(piece => piece.length > 0)
    while (rest.length > 0) {
      const stride = upTo(strideBytes - (position % strideBytes), rest)
      const count =
        stride.length === 1 && stride[0] !== undefined
          ? writeSync(descriptor, stride[0], 0, stride[0].length, position)
          : writevSync(descriptor, stride, position)
      if (count === 0) throw fileError('EIO', 'the disk takes no bytes', 'write', this.path)
      rest = behind(rest, count)
      position += count
    }
  }

  truncate(sizeBytes: number): void {
    ftruncateSync(this.#open('ftruncate'), sizeBytes)
  }

  sync(): Promise<void> {
    return this.#later<void>('fdatasync', (descriptor, end) => {
      fdatasync(descriptor, error => end(error))
    })
  }

  syncNow(): void {
    fdatasyncSync(this.#open('fdatasync'))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#closeWhenIdle()
  }

  #open(call: string): number {
    if (this.#closed) throw fileError('EBADF', 'the file is closed', call, this.path)
    return this.#descriptor
  }

  /** A descriptor stays open while the pool uses it: its number would otherwise soon mean another file. */
  async #later<Result>(
    call: string,
    start: (descriptor: number, end: (error: Error | null, result?: Result) => void) => void,
  ): Promise<Result> {
    const descriptor = this.#open(call)
    this.#onPool += 1
    try {
      return await new Promise<Result>((resolve, reject) => {
        start(descriptor, (error, result) => {
          if (error === null) resolve(result as Result)
          else reject(error)
        })
      })
    } finally {
      this.#onPool -= 1
      if (this.#closed) this.#closeWhenIdle()
    }
  }

  #closeWhenIdle(): void {
    if (this.#onPool === 0) closeSync(this.#descriptor)
  }
}

/** The first `bytes` bytes of `pieces`, or as many as one call takes. */
function upTo(bytes: number, pieces: readonly Buffer[]): Buffer[] {
  const first: Buffer[] = []
  let left = bytes
  for (const piece of pieces) {
    if (left === 0 || first.length === gatheredPiecesMax) break
    first.push(piece.length <= left ? piece : piece.subarray(0, left))
    left -= Math.min(left, piece.length)
  }
  return first
}

/** What is left of `pieces` after their first `count` bytes were written. */
function behind(pieces: Buffer[], count: number): Buffer[] {
  let written = 0
  for (const [index, piece] of pieces.entries()) {
    if (written + piece.length > count) return [piece.subarray(count - written), ...pieces.slice(index + 1)]
    written += piece.length
  }
  return []
}

function fileError(code: string, what: string, syscall: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${what}, ${syscall} '${path}'`), { code, syscall, path })
}
