import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  writevSync,
} from 'node:fs'
import type { DiskFile } from '../../base/world.ts'

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
    let rest = pieces.filter(piece => piece.length > 0)
    let position = at
    while (rest.length > 0) {
      const count = writevSync(descriptor, rest.slice(0, gatheredPiecesMax), position)
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
