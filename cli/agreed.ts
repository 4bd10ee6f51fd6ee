import { createInterface } from 'node:readline/promises'
import { Interrupted } from './failure.ts'
import { printable } from './printable.ts'

type Terminal = { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream }

/** Asks on the terminal; anything but a yes is a no, the end of the input too. @throws Interrupted at Ctrl-C */
export async function agreed(
  question: string,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  const asking = createInterface({ input, output })
  const interrupted = new Promise<never>((_, reject) => {
    asking.once('SIGINT', () => reject(new Interrupted()))
  })
  // An answer that came with the end counts.
  const ended = new Promise<undefined>(resolve => {
    asking.once('close', () => void setImmediate(resolve, undefined))
  })
  // What closes the interface may end the question too, with an AbortError.
  const answered = asking.question(`${printable(question)} [y/N] `).catch(() => undefined)
  let answeredWhole = false
  try {
    const answer = await Promise.race([answered, interrupted, ended])
    answeredWhole = answer !== undefined
    return /^y(es)?$/i.test(answer?.trim() ?? '')
  } finally {
    asking.close()
    // The cursor stands behind a question without an answer.
    if (!answeredWhole) output.write('\n')
  }
}
