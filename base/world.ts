/**
 * What the broker knows of the world outside: time, chance, disk and network. Everything comes in through here, so that a
 * whole cluster can run in one process on simulated time from one seed. `broker/world` is the real one, `test/sim` the
 * simulated one; both pass `test/contract`.
 */
export type World = {
  readonly clock: Clock
  readonly random: Random
  readonly disk: Disk
  readonly network: Network
}

export type Clock = {
  /** Wall-clock time, milliseconds since 1970. May jump; only for what users see (record timestamps, retention). */
  nowMs(): number
  /** Time since some fixed moment, milliseconds with fractions. Never goes back; for every time-out and measurement. */
  monotonicMs(): number
  /** Calls `act` once after `delayMs`. A timer does not keep the process alive. */
  after(delayMs: number, act: () => void): Timer
  /**
   * Calls `act` at the end of this turn of the event loop, after all I/O that is ready now was handled: first in, first out, and
   * acts that are added meanwhile still in the same turn. An act must not throw.
   */
  endOfTurn(act: () => void): void
}

export type Timer = { cancel(): void }

export type Random = {
  /** `count` bytes nobody can guess. */
  bytes(count: number): Buffer
}

/**
 * A file system. Calls named `…Sync`-free and returning plain values run on the event loop and are for small, cached work;
 * calls returning promises go to the thread pool. Errors are Node's (`code` is ENOENT, ENOSPC, EIO, …).
 */
export type Disk = {
  /** Makes `path` and its missing parents. What was made is durable when this returns. */
  makeDirectory(path: string): void
  /** The names in directory `path`, sorted. Throws ENOENT. */
  list(path: string): string[]
  /** What is at `path`, or undefined when nothing is. */
  stat(path: string): DiskEntry | undefined
  /** Opens a file for reading and writing; `create` makes an empty one (throws EEXIST when there is one already). */
  open(path: string, mode: 'create' | 'read' | 'write'): DiskFile
  rename(from: string, to: string): void
  /** Makes names that were created, renamed or removed in `path` durable. */
  syncDirectory(path: string): Promise<void>
  /** The same, on the event loop; for start and stop. */
  syncDirectoryNow(path: string): void
  /** Removes a file, or a directory with all that is in it; on the thread pool. Nothing there is no error. */
  remove(path: string): Promise<void>
  /** Takes the lock of `path` (a file, made when missing) for this process, or answers undefined when another has it. */
  lock(path: string): { release(): void } | undefined
  space(path: string): { freeBytes: number; totalBytes: number }
}

export type DiskEntry = {
  readonly kind: 'file' | 'directory'
  readonly sizeBytes: number
  readonly modifiedMs: number
}

export type DiskFile = {
  readonly path: string
  sizeBytes(): number
  /** Reads into `into` from position `at` of the file until it is full or the file ends; answers the bytes read. */
  read(into: Buffer, at: number): number
  /** The same on the thread pool. */
  readLater(into: Buffer, at: number): Promise<number>
  /**
   * Writes all pieces one behind the other from position `at`, whole or with an error: after an error any part of them may
   * stand in the file, and the caller cuts it back.
   */
  write(pieces: readonly Buffer[], at: number): void
  truncate(sizeBytes: number): void
  /** fdatasync, on the thread pool: what was written before the call is durable when the promise resolves. */
  sync(): Promise<void>
  /** fdatasync on the event loop; for start and stop. */
  syncNow(): void
  close(): void
}

/** Connections between brokers: streams of bytes in order, each way, that may end at any moment. */
export type Network = {
  /** Begins to connect; what comes of it is told to `events`, never before this returns. */
  connect(to: Place, events: ConnectionEvents): Connection
  /** Takes connections at `at` (port 0 is any free one; no host is every interface). `accept` answers who is told of each. Rejects when the place is taken. */
  listen(at: Place, accept: (connection: Connection) => ConnectionEvents): Promise<Listener>
}

export type Place = { readonly host: string; readonly port: number }

export type Connection = {
  /**
   * Sends the pieces one behind the other. They must not be changed before `done`, which is called once when they have left or never will.
   */
  send(pieces: readonly Buffer[], done?: () => void): void
  /** Bytes that were given to `send` and have not left yet. */
  readonly unsentBytes: number
  /** Ends it at once, with whatever is unsent; `closed` is not told. */
  close(): void
}

export type ConnectionEvents = {
  /** For who connects: the other side is there. */
  opened(): void
  /** The bytes are the receiver's until it returns: the next ones may come in the same memory. */
  received(bytes: Buffer): void
  /** It is over: told once, unless `close` was called. */
  closed(why: ConnectionEnd): void
}

/**
 * refused: nobody listens there. ended: the other side closed it in order. reset: it broke, as when the other process was killed.
 * unreachable: no answer, or no way to the place: whether anybody is there is not known.
 */
export type ConnectionEnd = 'refused' | 'ended' | 'reset' | 'unreachable'

export type Listener = { readonly port: number; close(): Promise<void> }
