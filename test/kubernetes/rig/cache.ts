// Enters: a name with its version, and how to make it. Leaves: a directory that is whole, made once a machine.
import { access, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cache } from './layout.ts'

/** The directory `name` of the cache. When it is not there `make` fills it; whoever dies meanwhile leaves no half of it. */
export async function cached(name: string, make: (directory: string) => Promise<void>): Promise<string> {
  const directory = join(cache, name)
  const there = await access(directory).then(
    () => true,
    () => false,
  )
  if (there) return directory
  const started = Date.now()
  process.stderr.write(`making ${name} …\n`)
  const beside = `${directory}.making`
  await rm(beside, { recursive: true, force: true })
  await mkdir(beside, { recursive: true })
  await make(beside)
  await rename(beside, directory)
  process.stderr.write(`made ${name} in ${Math.round((Date.now() - started) / 1000)} s\n`)
  return directory
}
