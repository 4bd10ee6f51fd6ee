/**
 * Directories of tablets that nobody serves here. In come names of directories, each of which is set aside, with a line in the log that says how much it holds and how to remove
 * it; out comes how many bytes they hold. Always holds: none of them is adopted, and none is removed but those of tablets that were deleted.
 */
import type { TabletShared } from './shared.ts'

const isStray = (name: string): boolean => /\.stray(?:\.\d+)?$/.test(name)
const isDeleted = (name: string): boolean => /\.deleted(?:\.\d+)?$/.test(name)

export class Strays {
  readonly #shared: TabletShared
  readonly #directory: string
  readonly #names = new Set<string>()

  /** `directory` is where the tablets' directories are. */
  constructor(shared: TabletShared, directory: string) {
    this.#shared = shared
    this.#directory = directory
  }

  /** Bytes of those that are still there. */
  get bytes(): number {
    let sum = 0
    for (const name of this.#names) sum += this.#bytesOf(name)
    return sum
  }

  /**
   * At a start: those that are not served here are neither adopted nor removed; those of deleted tablets go for good. `whose` says of a directory whose it is, and is undefined
   * for one that stays.
   */
  sort(whose: (name: string) => string | undefined): void {
    for (const name of this.#shared.world.disk.list(this.#directory)) {
      if (isStray(name)) this.#names.add(name)
      else if (isDeleted(name)) this.remove(`${this.#directory}/${name}`)
      else {
        const other = whose(name)
        if (other !== undefined) this.setAside(name, other)
      }
    }
    if (this.#names.size === 0) return
    const { bytes } = this
    if (bytes > 0)
      this.#shared.log.warn(
        { directories: this.#names.size, bytes, path: this.#directory },
        'directories of tablets were set aside, and take room; those ending in .stray may be removed when nobody needs them',
      )
  }

  /** Nothing when there is no such directory. Throws the disk's error. */
  setAside(name: string, whose: string): void {
    const { world, log } = this.#shared
    const taken = new Set(world.disk.list(this.#directory))
    if (!taken.has(name)) return
    let aside = `${name}.stray`
    for (let i = 2; taken.has(aside); i++) aside = `${name}.stray.${i}`
    const path = `${this.#directory}/${aside}`
    const bytes = this.#bytesOf(name)
    log.warn(
      { path, bytes, command: `rm -r '${path}'` },
      `set aside the directory of a tablet that ${whose}; remove it when you do not need it`,
    )
    world.disk.rename(`${this.#directory}/${name}`, path)
    this.#names.add(aside)
  }

  /** Removes a directory for good, later. */
  remove(path: string): void {
    this.#shared.world.disk
      .remove(path)
      .catch((error: unknown) =>
        this.#shared.log.warn({ path, error }, 'could not remove; it goes at the next start'),
      )
  }

  #bytesOf(name: string): number {
    const { disk } = this.#shared.world
    const path = `${this.#directory}/${name}`
    try {
      return disk.list(path).reduce((sum, file) => sum + (disk.stat(`${path}/${file}`)?.sizeBytes ?? 0), 0)
    } catch (error) {
      // Somebody has removed it, or it cannot be read: what it holds is not known.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.#names.delete(name)
      return 0
    }
  }
}
