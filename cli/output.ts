import { once } from 'node:events'
import { printable } from './printable.ts'

/** Writes and waits until the reader has room again, so that memory stays bounded however slow it reads. */
export async function write(data: string | Buffer): Promise<void> {
  if (data.length > 0 && !process.stdout.write(data)) await once(process.stdout, 'drain')
}

/** One JSON value on one line. */
export const writeJson = (value: unknown): Promise<void> => write(`${JSON.stringify(value)}\n`)

/** A line for the user on stderr, where it does not mix with data. */
export const tell = (line: string): void => void process.stderr.write(`${printable(line)}\n`)

/** `| head` closes our output when it has enough: that is a fine end, not an error. */
export function endQuietlyWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
}
