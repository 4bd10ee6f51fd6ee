// One at a time: whoever changes the rig, or tests on it, holds a lock that ends with its process.
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { tryLock } from 'fs-native-extensions'
import { cache } from './layout.ts'
import { until } from './until.ts'

/** Waits for the lock, and returns what gives it back. */
export async function lock(): Promise<() => Promise<void>> {
  await mkdir(cache, { recursive: true })
  const file = await open(join(cache, 'lock'), 'a+')
  if (!tryLock(file.fd)) {
    process.stderr.write('waiting for another run with the rig …\n')
    await until('the other run to end', async () => tryLock(file.fd), { limitMs: 30 * 60_000, everyMs: 500 })
  }
  return () => file.close()
}
