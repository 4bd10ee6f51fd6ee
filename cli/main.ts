// The `stele` command. Enters: the command line, standard input, the environment. Leaves: data on stdout, words for people
// on stderr, and an exit code: 0 fine, 1 refused or failed, 2 a command line that cannot be meant. A client command never
// loads the broker.
import { CommanderError } from 'commander'
import { exitCodes, explain } from './failure.ts'
import { endQuietlyWhenNobodyReads } from './output.ts'
import { program } from './program.ts'

endQuietlyWhenNobodyReads()
try {
  await program().parseAsync()
} catch (error) {
  process.exit(report(error))
}

/** Tells what went wrong, where commander has not told it already; answers the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.fine : exitCodes.usage
  const { text, exitCode } = explain(error)
  process.stderr.write(text)
  return exitCode
}
