// Before the tests run: makes dist/ when a source is newer, so that no two of them find it old and make it at the same time.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export default function setup(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '..', 'bin', 'stele.mjs'), '--version'])
}
