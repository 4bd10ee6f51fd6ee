import type { DiskFile } from '../../base/world.ts'
import type { SimProcess } from './clock.ts'
import { type DiskCall, diskError, roomyBytes, type SimDisk } from './disk.ts'
import type { SimFile } from './nodes.ts'

/** An open file of one process. */
export class SimHandle implements DiskFile {
  readonly path: string
  readonly #disk: SimDisk
  readonly #process: SimProcess
  readonly #file: SimFile
  readonly #writable: boolean
  #closed = false

  constructor(disk: SimDisk, process: SimProcess, path: string, file: SimFile, writable: boolean) {
    this.path = path
    this.#disk = disk
    this.#process = process
    this.#file = file
    this.#writable = writable
  }

  sizeBytes(): number {
    if (this.#closed || !this.#process.alive) throw diskError('EBADF', 'fstat', this.path)
    return this.#file.seen.sizeBytes
  }

  read(into: Buffer, at: number): number {
    this.#check('read')
    return this.#file.seen.read(into, at)
  }

  async readLater(into: Buffer, at: number): Promise<number> {
    const failure = this.#begin('read')
    return this.#disk.later(this.#process, () => {
      if (failure !== undefined) throw diskError(failure, 'read', this.path)
      return this.#file.seen.read(into, at)
    })
  }

  write(pieces: readonly Buffer[], at: number): void {
    const failure = this.#begin('write')
    if (!this.#writable) throw diskError('EBADF', 'write', this.path)
    const bytes = Buffer.concat(pieces)
    if (failure !== undefined) {
      this.#put(bytes.subarray(0, this.#disk.random.below(bytes.length)), at)
      throw diskError(failure, 'write', this.path)
    }
    const room = this.#roomBehind(at, bytes.length)
    this.#put(bytes.subarray(0, room), at)
    if (room < bytes.length) throw diskError('ENOSPC', 'write', this.path)
  }

  truncate(sizeBytes: number): void {
    this.#check('truncate')
    if (!this.#writable) throw diskError('EINVAL', 'ftruncate', this.path)
    this.#file.truncate(sizeBytes)
    this.#disk.changed(this.#file)
  }

  async sync(): Promise<void> {
    const failure = this.#begin('sync')
    const { moment } = this.#file
    await this.#disk.later(this.#process, () => this.#sync(moment, failure), this.#disk.syncMs)
  }

  syncNow(): void {
    const failure = this.#begin('sync')
    this.#sync(this.#file.moment, failure)
  }

  close(): void {
    this.#closed = true
  }

  #check(call: DiskCall): void {
    const failure = this.#begin(call)
    if (failure !== undefined) throw diskError(failure, call, this.path)
  }

  #begin(call: DiskCall): string | undefined {
    if (this.#closed) throw diskError('EBADF', call, this.path)
    return this.#disk.failureOf(this.#process, call, this.path)
  }

  #put(bytes: Buffer, at: number): void {
    if (bytes.length === 0) return
    this.#file.write(bytes, at)
    this.#disk.changed(this.#file)
  }

  /** How many of `count` bytes from `at` the disk has room for. */
  #roomBehind(at: number, count: number): number {
    const growth = at + count - this.#file.seen.sizeBytes
    if (growth <= 0 || this.#disk.capacityBytes >= roomyBytes) return count
    return Math.max(0, count - Math.max(0, growth - this.#disk.freeBytes()))
  }

  #sync(moment: number, failure: string | undefined): void {
    if (failure === undefined) this.#file.sync(moment)
    else this.#file.failSync(moment, this.#disk.drawFate, this.#disk.sectorBytes)
    this.#disk.synced(this.#file)
    if (failure !== undefined) throw diskError(failure, 'fdatasync', this.path)
  }
}
