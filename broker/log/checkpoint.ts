/**
 * `recovery-point.json`: for each tablet of this broker where recovery has to start and where its log starts. One file for all, replaced as
 * a whole; changes that come while it is being written share the next write. What a newer Stele has added to it is not kept: who adds must be able to
 * miss it (decision 0010).
 */
import { crc32c } from '../../base/crc32c.ts'
import { readFile, replaceFile, replaceFileNow } from '../../base/files.ts'
import { incarnation, offset, type Incarnation, type Offset } from '../../base/quantities.ts'
import type { Disk } from '../../base/world.ts'
import { DataDirectoryRefused } from './data-directory.ts'
import type { LogPosition } from './log.ts'

export type TabletCheckpoint = {
  /** Everything below is on disk and was checked. */
  readonly recoveryPoint: Offset
  /** The base offset of the segment that the recovery point stands in, or at the end of. */
  readonly segment: Offset
  /** Where the recovery point stands in that segment's file. */
  readonly position: number
  /** Below it nothing is readable any more. */
  readonly logStart: Offset
  /**
   * A sync failed behind the recovery point. The system may have dropped what it could not write and still show it from its cache, so
   * recovery must not believe a later sync of the same bytes: they have to be written again.
   */
  readonly syncFailed: boolean
  /** The high watermark, as it last was noted; a tablet with other replicas begins with it. */
  readonly highWatermark: Offset
  /** It began without its records in this run of the broker: what earlier ones were granted does not count. 0 where it never did. */
  readonly bornIn: Incarnation
}

type Numbers = readonly [
  recoveryPoint: number,
  segment: number,
  position: number,
  logStart: number,
  syncFailed?: 0 | 1,
  highWatermark?: number,
  bornIn?: number,
  recovered?: 0 | 1,
]
/** `since`: the first run that noted every tablet that it opened. `boot`: that of the kernel in which those that say so were recovered last. */
type Format = { version: number; since?: number; boot?: string; tablets: Record<string, Numbers> }
type Content = {
  readonly since: Incarnation | undefined
  readonly tablets: Map<string, TabletCheckpoint>
  readonly boot: string | undefined
  readonly recovered: ReadonlySet<string>
}

const version = 1

const nothing: TabletCheckpoint = {
  recoveryPoint: offset(0),
  segment: offset(0),
  position: 0,
  logStart: offset(0),
  syncFailed: false,
  highWatermark: offset(0),
  bornIn: incarnation(0),
}

export class Checkpoints {
  readonly #disk: Disk
  readonly #path: string
  readonly #tablets: Map<string, TabletCheckpoint>
  #since: Incarnation | undefined
  readonly #boot: string | undefined
  /** Whose logs were recovered since this kernel has been up. */
  readonly #recovered: Set<string>
  #writing: Promise<void> | undefined
  #next: Promise<void> | undefined

  private constructor(
    disk: Disk,
    path: string,
    { since, tablets, boot: before, recovered }: Content,
    boot: string | undefined,
  ) {
    this.#disk = disk
    this.#path = path
    this.#since = since
    this.#tablets = tablets
    this.#boot = boot
    this.#recovered = new Set(boot === before ? recovered : [])
  }

  /**
   * Reads the file. One that is missing or unreadable costs time, not data: every tablet is then checked from its start. `boot` names the time since the kernel
   * came up; undefined where that is not known.
   * @throws DataDirectoryRefused for one of a newer format: nobody knows what is lost without it
   */
  static open(
    disk: Disk,
    dataDirectory: string,
    boot?: string,
  ): { checkpoints: Checkpoints; damaged: boolean } {
    const path = `${dataDirectory}/recovery-point.json`
    const content = readFile(disk, path)
    const empty: Content = { since: undefined, tablets: new Map(), boot: undefined, recovered: new Set() }
    const read = content === undefined ? empty : parse(path, content)
    return { checkpoints: new Checkpoints(disk, path, read ?? empty, boot), damaged: read === undefined }
  }

  /** What is known of the tablet in directory `name`, or undefined when it never had one here. */
  of(name: string): TabletCheckpoint | undefined {
    return this.#tablets.get(name)
  }

  /** Its log was recovered since this kernel came up: whatever was written to it since then is still there, synced or not. */
  keptAll(name: string): boolean {
    return this.#boot !== undefined && this.#recovered.has(name)
  }

  /** Its log is recovered. Goes to the disk with the next change of anything. */
  noteRecovered(name: string): void {
    this.#recovered.add(name)
  }

  /** The first run that noted every tablet it opened, at most `run`, which does: of one that is not noted nothing was here since then. */
  noteAll(run: Incarnation): Incarnation {
    return (this.#since ??= run)
  }

  /** The same for the first run on this disk, written down soon: a kill before the first tablet must not look like notes that were lost. */
  noteFirst(run: Incarnation): void {
    this.noteAll(run)
    this.#save().catch(() => undefined)
  }

  /** The tablet is here, and nothing was ever written to it. Resolves when that is durable. */
  begin(name: string): Promise<void> {
    this.#recovered.add(name)
    this.#tablets.set(name, nothing)
    return this.#save()
  }

  /** The tablet begins without its records in run `bornIn`. Resolves when that is durable; what is still in its directory is to go then. */
  beginAnew(name: string, bornIn: Incarnation): Promise<void> {
    this.#recovered.add(name)
    this.#tablets.set(name, { ...nothing, bornIn })
    return this.#save()
  }

  /** What the tablet had was lost in part before run `bornIn`. Resolves when that is durable. */
  hasLost(name: string, bornIn: Incarnation): Promise<void> {
    this.#tablets.set(name, { ...(this.#tablets.get(name) ?? nothing), bornIn })
    return this.#save()
  }

  /** Forgets what `isKept` does not keep; the next write leaves it out. */
  retain(isKept: (name: string) => boolean): void {
    for (const name of this.#tablets.keys()) if (!isKept(name)) this.#tablets.delete(name)
    for (const name of this.#recovered) if (!isKept(name)) this.#recovered.delete(name)
  }

  /** Everything before `end` is on disk. Resolves when that is durable. */
  setRecoveryPoint(name: string, end: LogPosition): Promise<void> {
    const was = this.#tablets.get(name) ?? nothing
    const { offset: recoveryPoint, segment, position } = end
    this.#tablets.set(name, { ...was, recoveryPoint, segment, position, syncFailed: false })
    return this.#save()
  }

  /** A sync of the tablet failed. Resolves when the next recovery will know. */
  setSyncFailed(name: string): Promise<void> {
    this.#tablets.set(name, { ...(this.#tablets.get(name) ?? nothing), syncFailed: true })
    return this.#save()
  }

  /** Resolves when it is durable. The log start never goes back. */
  setLogStart(name: string, logStart: Offset): Promise<void> {
    const was = this.#tablets.get(name) ?? nothing
    this.#tablets.set(name, { ...was, logStart: offset(Math.max(was.logStart, logStart)) })
    return this.#save()
  }

  /** Goes to the disk with the next change of anything. */
  noteHighWatermark(name: string, highWatermark: Offset): void {
    const was = this.#tablets.get(name)
    if (was !== undefined) this.#tablets.set(name, { ...was, highWatermark })
  }

  /** The log begins again at `start`, empty; the segment of that offset is there. Resolves when it is durable. */
  restartAt(name: string, start: Offset): Promise<void> {
    const was = this.#tablets.get(name) ?? nothing
    this.#tablets.set(name, { ...was, recoveryPoint: start, segment: start, position: 0, logStart: start })
    return this.#save()
  }

  delete(name: string): Promise<void> {
    return this.#tablets.delete(name) ? this.#save() : Promise.resolve()
  }

  /** Brings what was noted to the disk. */
  save(): Promise<void> {
    return this.#save()
  }

  /** Writes at once, on the event loop; for a clean stop. */
  saveNow(): void {
    replaceFileNow(this.#disk, this.#path, this.#content())
  }

  #save(): Promise<void> {
    if (this.#writing === undefined) {
      this.#writing = replaceFile(this.#disk, this.#path, this.#content()).finally(
        () => (this.#writing = undefined),
      )
      return this.#writing
    }
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.#save()
      })
    return this.#next
  }

  /** JSON with a checksum at its end: a number that changed on the disk must not move a recovery point. */
  #content(): Buffer {
    const tablets: Format['tablets'] = {}
    for (const [name, tablet] of this.#tablets) {
      const { recoveryPoint, segment, position, logStart, highWatermark, bornIn } = tablet
      const syncFailed = tablet.syncFailed ? 1 : 0
      const recovered = this.#recovered.has(name) ? 1 : 0
      tablets[name] = [
        recoveryPoint,
        segment,
        position,
        logStart,
        syncFailed,
        highWatermark,
        bornIn,
        recovered,
      ]
    }
    const [since, boot] = [this.#since, this.#boot]
    const format: Format = {
      version,
      ...(since !== undefined && { since }),
      ...(boot !== undefined && { boot }),
      tablets,
    }
    const body = JSON.stringify(format).slice(0, -1)
    return Buffer.from(`${body},${checksumName}${crc32c(Buffer.from(body))}}\n`)
  }
}

const checksumName = '"crc32c":'

function parse(path: string, content: Buffer): Content | undefined {
  try {
    const file = JSON.parse(content.toString()) as Format & { crc32c: number }
    const { since, boot, tablets, crc32c: checksum } = file
    if (checksum !== crc32c(content.subarray(0, content.lastIndexOf(`,${checksumName}`)))) return undefined
    if (file.version > version)
      throw new DataDirectoryRefused(
        `${path} has format ${file.version}, and this Stele reads up to format ${version}. Start the newer Stele that wrote it.`,
      )
    const entries = Object.entries(tablets).map(([name, numbers]): [string, TabletCheckpoint] => {
      const [recoveryPoint, segment, position, logStart, syncFailed, highWatermark = logStart, bornIn = 0] =
        numbers
      return [
        name,
        {
          recoveryPoint: offset(recoveryPoint),
          segment: offset(segment),
          position,
          logStart: offset(logStart),
          syncFailed: syncFailed === 1,
          highWatermark: offset(highWatermark),
          bornIn: incarnation(bornIn),
        },
      ]
    })
    const recovered = Object.entries(tablets).flatMap(([name, numbers]) => (numbers[7] === 1 ? [name] : []))
    return {
      since: since === undefined ? undefined : incarnation(since),
      tablets: new Map(entries),
      boot,
      recovered: new Set(recovered),
    }
  } catch (error) {
    if (error instanceof DataDirectoryRefused) throw error
    return undefined
  }
}
