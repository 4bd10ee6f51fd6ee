import type { Disk, DiskEntry, DiskFile } from '../../base/world.ts'
import type { SimProcess } from './clock.ts'
import { type CrashKind, diskError, partsOf, type SimDisk } from './disk.ts'
import { SimHandle } from './handle.ts'
import { drawNameFate, Names, SimDirectory, SimFile } from './nodes.ts'

/** Names and locks on a simulated disk, as each process is given them. */
export class SimFileSystem {
  readonly #disk: SimDisk
  readonly #names = new Names()
  readonly #locks = new Map<SimFile, { readonly process: SimProcess }>()

  constructor(disk: SimDisk) {
    this.#disk = disk
  }

  diskOf(process: SimProcess): Disk {
    return {
      makeDirectory: path => {
        this.#makeDirectory(process, partsOf(path))
      },
      list: path => {
        this.#disk.note(process, 'list', path)
        return [...this.#directory('scandir', path).seen.keys()].sort()
      },
      stat: path => this.#stat(process, path),
      open: (path, mode) => this.#open(process, path, mode),
      rename: (from, to) => this.#rename(process, from, to),
      syncDirectory: path => this.#syncDirectory(process, path),
      syncDirectoryNow: path => {
        this.#disk.check(process, 'syncDirectory', path)
        this.#names.sync(this.#names.unsyncedIn(this.#directory('fsync', path)))
      },
      remove: path => this.#remove(process, path),
      lock: path => this.#lock(process, path),
      space: path => {
        this.#disk.note(process, 'space', path)
        this.#directory('statfs', path)
        return { freeBytes: this.#disk.freeBytes(), totalBytes: this.#disk.capacityBytes }
      },
    }
  }

  /** The power fails. */
  crash(how: CrashKind): void {
    this.#names.crash({ lose: () => false, keep: () => true, tear: drawNameFate(this.#disk.random) }[how])
    this.#disk.crash(how)
  }

  /** Frees what a dead process held. */
  forget(process: SimProcess): void {
    for (const [file, held] of this.#locks) if (held.process === process) this.#locks.delete(file)
  }

  #directory(call: string, path: string): SimDirectory {
    const node = this.#disk.find(path)
    if (node?.kind !== 'directory') throw diskError(node === undefined ? 'ENOENT' : 'ENOTDIR', call, path)
    return node
  }

  #entryOf(call: string, path: string) {
    const parts = partsOf(path)
    const name = parts.pop()
    if (name === undefined) throw diskError('EBUSY', call, path)
    const directory = this.#directory(call, `/${parts.join('/')}`)
    return { directory, name, node: directory.seen.get(name) }
  }

  #makeDirectory(process: SimProcess, parts: readonly string[]): SimDirectory {
    const path = `/${parts.join('/')}`
    if (parts.length === 0) return this.#disk.root
    const standing = this.#disk.find(path)
    const parent =
      standing === undefined
        ? this.#makeDirectory(process, parts.slice(0, -1))
        : this.#directory('mkdir', `/${parts.slice(0, -1).join('/')}`)
    const made = standing ?? new SimDirectory()
    if (made.kind === 'file') throw diskError('EEXIST', 'mkdir', path)
    if (standing === undefined)
      this.#names.change({ directory: parent, name: parts.at(-1) ?? '', node: made })
    this.#disk.note(process, 'fsync', path)
    this.#names.sync(this.#names.unsyncedIn(parent))
    return made
  }

  #stat(process: SimProcess, path: string): DiskEntry | undefined {
    this.#disk.note(process, 'stat', path)
    const node = this.#disk.find(path)
    if (node === undefined) return undefined
    if (node.kind === 'directory') return { kind: 'directory', sizeBytes: 0, modifiedMs: 0 }
    return { kind: 'file', sizeBytes: node.seen.sizeBytes, modifiedMs: node.modifiedMs }
  }

  #open(process: SimProcess, path: string, mode: 'create' | 'read' | 'write'): DiskFile {
    this.#disk.check(process, 'open', path)
    const { directory, name, node } = this.#entryOf('open', path)
    if (mode === 'create') {
      if (node !== undefined) throw diskError('EEXIST', 'open', path)
      return new SimHandle(this.#disk, process, path, this.#create(directory, name), true)
    }
    if (node === undefined) throw diskError('ENOENT', 'open', path)
    if (node.kind === 'directory') throw diskError('EISDIR', 'open', path)
    return new SimHandle(this.#disk, process, path, node, mode === 'write')
  }

  #create(directory: SimDirectory, name: string): SimFile {
    const file = new SimFile()
    file.modifiedMs = this.#disk.clock.nowMs()
    this.#names.change({ directory, name, node: file })
    return file
  }

  #rename(process: SimProcess, fromPath: string, toPath: string): void {
    this.#disk.check(process, 'rename', fromPath)
    const from = this.#entryOf('rename', fromPath)
    const to = this.#entryOf('rename', toPath)
    if (from.node === undefined) throw diskError('ENOENT', 'rename', fromPath)
    if (from.node === to.node) return
    if (from.node.kind === 'file' && to.node?.kind === 'directory')
      throw diskError('EISDIR', 'rename', toPath)
    if (from.node.kind === 'directory') {
      if (to.node?.kind === 'file') throw diskError('ENOTDIR', 'rename', toPath)
      if (to.node !== undefined && to.node.seen.size > 0) throw diskError('ENOTEMPTY', 'rename', toPath)
      if (`${toPath}/`.startsWith(`${fromPath}/`)) throw diskError('EINVAL', 'rename', toPath)
    }
    this.#names.change({ ...from, node: undefined }, { ...to, node: from.node })
  }

  async #syncDirectory(process: SimProcess, path: string): Promise<void> {
    const failure = this.#disk.failureOf(process, 'syncDirectory', path)
    const covered = this.#names.unsyncedIn(this.#directory('fsync', path))
    await this.#disk.later(
      process,
      () => {
        if (failure !== undefined) throw diskError(failure, 'fsync', path)
        this.#names.sync(covered)
      },
      this.#disk.syncMs,
    )
  }

  /** Name by name, so that a process can die in the middle. */
  async #remove(process: SimProcess, path: string): Promise<void> {
    await this.#disk.later(process, () => this.#disk.check(process, 'remove', path))
    const found = this.#disk.find(path)
    if (found === undefined) return
    if (found.kind === 'directory')
      for (const name of [...found.seen.keys()].sort()) await this.#remove(process, `${path}/${name}`)
    const { directory, name, node } = this.#entryOf('unlink', path)
    if (node !== undefined) this.#names.change({ directory, name, node: undefined })
  }

  #lock(process: SimProcess, path: string): { release(): void } | undefined {
    this.#disk.note(process, 'lock', path)
    const { directory, name, node } = this.#entryOf('lock', path)
    if (node?.kind === 'directory') throw diskError('EISDIR', 'lock', path)
    const file = node ?? this.#create(directory, name)
    if (this.#locks.has(file)) return undefined
    const held = { process }
    this.#locks.set(file, held)
    return {
      release: () => {
        if (this.#locks.get(file) === held) this.#locks.delete(file)
      },
    }
  }
}
