import { readdirSync, readFileSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { scan, type Scanned } from './scan.ts'

export type TextFile = {
  /** From the project's root, with slashes. */
  readonly path: string
  readonly text: string
}

export type Source = TextFile &
  Scanned & {
    /** What it imports: a path from the project's root, or a package's or module's name. */
    readonly imports: readonly string[]
  }

const root = fileURLToPath(new URL('../..', import.meta.url))
const notOurs = new Set(['node_modules', 'dist', 'data', 'coverage', '.cache', '.git'])
const textFile = /(?:\.(?:ts|mjs|js|json|jsonc|md|ya?ml|html|css|sh|txt)|\/[^./]+|\/\.[^/]+)$/

/** All text files of the project. */
export const projectFiles = (): TextFile[] =>
  pathsBelow('').map(path => ({ path, text: readFileSync(root + path, 'utf8') }))

function pathsBelow(below: string): string[] {
  return readdirSync(root + below, { withFileTypes: true }).flatMap(entry => {
    const path = `${below}${entry.name}`
    if (notOurs.has(entry.name)) return []
    if (entry.isDirectory()) return pathsBelow(`${path}/`)
    return entry.isFile() && textFile.test(`/${path}`) && statSync(root + path).size < 2 ** 20 ? [path] : []
  })
}

export function sourceOf({ path, text }: TextFile): Source {
  const scanned = scan(text)
  return { path, text, ...scanned, imports: importsOf(path, scanned) }
}

const importing =
  /\b(?:import|export)\b[\s\w{},*$]*?\bfrom\s*(['"])([^'"]+)\1|\b(?:import|require|import\.meta\.resolve)\s*\(?\s*(['"])([^'"]+)\3|\bnew URL\(\s*(['"])(\.[^'"]+)\5,\s*import\.meta\.url/g

function importsOf(path: string, { uncommented, code }: Scanned): string[] {
  return [...uncommented.matchAll(importing)]
    .filter(match => code[match.index] !== ' ')
    .map(match => match[2] ?? match[4] ?? match[6] ?? '')
    .map(name => (name.startsWith('.') ? posix.join(posix.dirname(path), name) : name))
}
