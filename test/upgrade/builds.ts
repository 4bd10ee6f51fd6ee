/** Programs of this checkout and of an earlier commit, side by side. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

const checkout = join(import.meta.dirname, '..', '..')

/**
 * The oldest version that this one must run beside (docs/decisions/0010): from the first release on the last minor version's tag. Until then the first commit in which several
 * brokers are one command.
 */
const oldest = process.env['STELE_OLD'] ?? 'cd8c2e11489a2d6536fee546f752b5e24e25b1d9'

export type Build = {
  readonly name: string
  /** What `node` runs as the `stele` command. */
  readonly stele: string
  /** What `node` runs as their parent. */
  readonly parent: string
}

const parent = join('test', 'upgrade', 'parent.ts')

const build = (name: string, tree: string): Build => ({
  name,
  stele: join(tree, 'dist', 'stele.mjs'),
  parent: join(tree, parent),
})

/** A copy under `directory` of what `test/bundle.ts` has made, so that a build meanwhile changes nothing. */
export function copyPresent(directory: string): Build {
  const tree = join(directory, 'present')
  mkdirSync(tree)
  cpSync(join(checkout, 'dist'), join(tree, 'dist'), { recursive: true })
  symlinkSync(join(checkout, 'node_modules'), join(tree, 'node_modules'))
  return { ...build('present', tree), parent: join(checkout, parent) }
}

/**
 * Makes the old one under `directory`, of its own sources and this checkout's packages.
 * @throws Error when this checkout does not have the commit: there is nothing to test then
 */
export function buildOld(directory: string): Build {
  const git = (args: readonly string[]): Buffer =>
    execFileSync('git', ['-C', checkout, ...args], { maxBuffer: 2 ** 30, stdio: ['ignore', 'pipe', 'pipe'] })
  let archive: Buffer
  try {
    archive = git(['archive', oldest])
  } catch (error) {
    throw new Error(
      `this checkout has no commit ${oldest}, so there is no old version to test with: get the history first (git fetch --unshallow), or name another commit with STELE_OLD`,
      { cause: error },
    )
  }
  const tree = join(directory, 'old')
  mkdirSync(tree)
  execFileSync('tar', ['-x', '-C', tree], { input: archive })
  symlinkSync(join(checkout, 'node_modules'), join(tree, 'node_modules'))
  execFileSync(process.execPath, ['build.ts'], { cwd: tree })
  mkdirSync(join(tree, 'test', 'upgrade'), { recursive: true })
  copyFileSync(join(checkout, parent), build('old', tree).parent)
  return build('old', tree)
}
