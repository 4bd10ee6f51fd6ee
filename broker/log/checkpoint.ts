/**
 * `recovery-point.json`: for each tablet of this broker where recovery has to start and where its log starts. One file for all, replaced as
 * a whole; changes that come while it is being written share the next write.
 */
import { readFile, replaceFile, replaceFileNow } from '../../base/files.ts'
import { offset, type Offset } from '../../base/quantities.ts'
import type { Disk } from '../../base/world.ts'

export type TabletCheckpoint = {
  /** Everything below is on disk and was checked. */
  readonly recoveryPoint: Offset
  /** Where the recovery point stands in its segment's file. */
  readonly position: number
  /** Below it nothing is readable any more. */
  readonly logStart: Offset
}

type Format = {
  version: 1
  tablets: Record<string, [recoveryPoint: number, position: number, logStart: number]>
}

export class Checkpoints {
  readonly #disk: Disk
  readonly #path: string
  readonly #tablets: Map<string, TabletCheckpoint>
  #writing: Promise<void> | undefined
  #next: Promise<void> | undefined

  private constructor(disk: Disk, path: string, tablets: Map<string, TabletCheckpoint>) {
    this.#disk = disk
    this.#path = path
    this.#tablets = tablets
  }

  /** Reads the file. One that is missing or unreadable costs time, not data: every tablet is then checked from its start. */
  static open(disk: Disk, dataDirectory: string): { checkpoints: Checkpoints; damaged: boolean } {
    const path = `${dataDirectory}/recovery-point.json`
    const content = readFile(disk, path)
    const read = content === undefined ? new Map<string, TabletCheckpoint>() : parse(content)
    return { checkpoints: new Checkpoints(disk, path, read ?? new Map()), damaged: read === undefined }
  }

  /** What is known of the tablet in directory `name`, or undefined when it never had one here. */
  of(name: string): TabletCheckpoint | undefined {
    return this.#tablets.get(name)
  }

  names(): string[] {
    return [...this.#tablets.keys()]
  }

  /** Resolves when it is durable. */
  setRecoveryPoint(name: string, recoveryPoint: Offset, position: number): Promise<void> {
    this.#tablets.set(name, {
      recoveryPoint,
      position,
      logStart: this.#tablets.get(name)?.logStart ?? offset(0),
    })
    return this.#save()
  }

  /** Resolves when it is durable. The log start never goes back. */
  setLogStart(name: string, logStart: Offset): Promise<void> {
    const was = this.#tablets.get(name) ?? { recoveryPoint: offset(0), position: 0, logStart }
    this.#tablets.set(name, { ...was, logStart: offset(Math.max(was.logStart, logStart)) })
    return this.#save()
  }

  delete(name: string): Promise<void> {
    return this.#tablets.delete(name) ? this.#save() : Promise.resolve()
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

  #content(): Buffer {
    const tablets: Format['tablets'] = {}
    for (const [name, { recoveryPoint, position, logStart }] of this.#tablets) {
      tablets[name] = [recoveryPoint, position, logStart]
    }
    return Buffer.from(`${JSON.stringify({ version: 1, tablets } satisfies Format)}\n`)
  }
}

function parse(content: Buffer): Map<string, TabletCheckpoint> | undefined {
  try {
    const format = JSON.parse(content.toString()) as Format
    const tablets = new Map<string, TabletCheckpoint>()
    for (const [name, numbers] of Object.entries(format.tablets)) {
      if (!numbers.every(n => Number.isSafeInteger(n) && n >= 0)) return undefined
      const [recoveryPoint, position, logStart] = numbers
      tablets.set(name, { recoveryPoint: offset(recoveryPoint), position, logStart: offset(logStart) })
    }
    return tablets
  } catch {
    return undefined
  }
}
