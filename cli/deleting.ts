import { agreed } from './agreed.ts'
import { Failure, usageFailure } from './failure.ts'
import { write, writeJson } from './output.ts'
import { printable } from './printable.ts'

/**
 * Lets what cannot be undone go on: with `yes`, or a yes on the terminal.
 * @throws Failure; with exit code 2 where nobody can be asked
 */
export async function agreedToDelete(names: readonly string[], what: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY) {
    throw usageFailure(
      'nothing was deleted: there is no terminal to ask on',
      'Say -y to delete without being asked.',
    )
  }
  if (!(await agreed(`delete ${names.join(', ')} with all ${what}?`)))
    throw new Failure('nothing was deleted')
}

/** Deletes one after another; what was deleted is told also when a later one fails. */
export async function deleteAll(
  names: readonly string[],
  json: boolean,
  remove: (name: string) => Promise<void>,
): Promise<void> {
  const deleted: string[] = []
  try {
    for (const name of names) {
      await remove(name)
      deleted.push(name)
      if (!json) await write(`deleted ${printable(name)}\n`)
    }
  } finally {
    if (json) await writeJson(deleted)
  }
}
