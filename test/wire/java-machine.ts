/**
 * A virtual machine that runs Kafka's tools one after the other: Tools.java says how. In: a tool's words and its input. Out:
 * what it printed and how it ended. Always holds: one tool runs at a time; a tool that takes too long ends the machine, and the
 * next one has a new one.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { spawnPiped, type Outcome } from './processes.ts'

type Ended = Omit<Outcome, 'commandLine'>

export class ToolsMachine {
  readonly #args: readonly string[]
  readonly #environment: Record<string, string>
  #child: ChildProcessWithoutNullStreams | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(args: readonly string[], environment: Record<string, string>) {
    this.#args = args
    this.#environment = environment
  }

  run(words: readonly string[], input: string, limitMs: number): Promise<Ended> {
    const ended = this.#last.then(() => this.#ask(words, input, limitMs))
    this.#last = ended.catch(() => undefined)
    return ended
  }

  #start(): ChildProcessWithoutNullStreams {
    const child = spawnPiped('java', this.#args, { environment: this.#environment })
    // Why it does not read any more is told by how it ended.
    child.stdin.on('error', () => undefined)
    return child
  }

  async #ask(words: readonly string[], input: string, limitMs: number): Promise<Ended> {
    const child = (this.#child ??= this.#start())
    const limit = setTimeout(() => child.kill('SIGKILL'), limitMs)
    try {
      const ended = answerOf(child)
      child.stdin.write(Buffer.concat([int32(words.length), ...words.flatMap(sized), ...sized(input)]))
      const outcome = await ended
      if (outcome.code === null) this.#child = undefined
      return outcome
    } catch (error) {
      this.#child = undefined
      throw error
    } finally {
      clearTimeout(limit)
    }
  }
}

/** What the machine says next, or how it ends. */
function answerOf(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>()
  const printed: Buffer[] = []
  const complained: Buffer[] = []
  let length = 0
  let wanted = 4
  const onPrinted = (chunk: Buffer): void => {
    printed.push(chunk)
    length += chunk.length
    if (length < wanted) return
    const all = Buffer.concat(printed.splice(0))
    printed.push(all)
    const answer = parse(all)
    if (typeof answer === 'number') wanted = answer
    else resolve(answer)
  }
  const onComplained = (chunk: Buffer): void => void complained.push(chunk)
  const onClose = (code: number | null, signal: NodeJS.Signals | null): void => {
    const stderr = Buffer.concat(complained).toString()
    if (signal === null) reject(new Error(`the tools' virtual machine ended with ${code}: ${stderr}`))
    else resolve({ code, signal, stdout: Buffer.concat(printed), stderr })
  }
  child.on('error', reject).on('close', onClose)
  child.stdout.on('data', onPrinted)
  child.stderr.on('data', onComplained)
  return promise.finally(() => {
    child.off('error', reject).off('close', onClose)
    child.stdout.off('data', onPrinted)
    child.stderr.off('data', onComplained)
  })
}

/** An exit code, and two texts that begin with their length; or how many bytes there have to be to know more. */
function parse(bytes: Buffer): Ended | number {
  let at = 4
  const texts: Buffer[] = []
  while (texts.length < 2) {
    if (bytes.length < at + 4) return at + 4
    const end = at + 4 + bytes.readInt32BE(at)
    if (bytes.length < end) return end
    texts.push(bytes.subarray(at + 4, end))
    at = end
  }
  const [stdout = Buffer.of(), stderr = Buffer.of()] = texts
  return { code: bytes.readInt32BE(0), signal: null, stdout, stderr: stderr.toString() }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function sized(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  return [int32(bytes.length), bytes]
}
