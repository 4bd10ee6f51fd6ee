/** Programs in C that benchmarks need. Enters: a source file. Leaves: where the program is, compiled from the source as it is now, in the checkout's cache. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const cache = join(import.meta.dirname, '..', '..', '.cache', 'c')
const flags = ['-std=c11', '-O2', '-Wall', '-Wextra']

/**
 * The program made of one source file, which may include the headers beside it and needs libc, nothing else.
 * @throws Error when there is no C compiler, or with what it complains of
 */
export async function compiled(source: string): Promise<string> {
  const folder = dirname(source)
  const headers = (await readdir(folder)).filter(name => name.endsWith('.h')).sort()
  const texts = await Promise.all(
    [source, ...headers.map(name => join(folder, name))].map(path => readFile(path)),
  )
  const hash = createHash('sha256').update(flags.join(' '))
  for (const text of texts) hash.update(text)
  const key = hash.digest('hex').slice(0, 16)
  const path = join(cache, `${basename(source, '.c')}-${key}`)
  const there = await access(path).then(
    () => true,
    () => false,
  )
  if (there) return path
  await mkdir(cache, { recursive: true })
  const beside = await mkdtemp(`${path}.`)
  try {
    const program = join(beside, 'program')
    await run('cc', [...flags, '-o', program, source]).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOENT' ? new Error('there is no C compiler: install gcc or clang') : error
    })
    // Whoever was faster has made the same.
    await rename(program, path)
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
  return path
}
