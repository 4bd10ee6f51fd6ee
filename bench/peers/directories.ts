import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const made = new Set<string>()
// Also those of a run that is broken off.
process.once('exit', () => made.forEach(removeDirectory))

/** A new directory for a peer's data; where, TMPDIR says. It is gone at the end of the bench at the latest. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'stele-peers-'))
  made.add(directory)
  return directory
}

export function removeDirectory(directory: string): void {
  made.delete(directory)
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
}
