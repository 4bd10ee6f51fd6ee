import { agreed } from './agreed.ts'
import { Failure, usageFailure } from './failure.ts'
import { write, writeJson } from './output.ts'
import { printable } from './printable.ts'

/**
 * Lets what cannot be undone go on: with `yes`, or a yes on the terminal.
 * @throws Failure; with exit code 2 where nobody can be asked
 */
export const agreedToDelete = (names: readonly string[], what: string, yes: boolean): Promise<void> =>
  agreedTo(`delete ${names.join(', ')} with all ${what}?`, 'nothing was deleted', yes)

/** The same for any question; `otherwise` is what is told when the answer is no. */
export async function agreedTo(question: string, otherwise: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY) {
    throw usageFailure(`${otherwise}: there is no terminal to ask on`, 'Say -y to do it without being asked.')
  }
  if (!(await agreed(question))) throw new Failure(otherwise)
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
