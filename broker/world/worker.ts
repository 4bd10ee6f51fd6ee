/**
 * Work on another thread: calls with plain values enter, promises of plain values leave. The other thread runs a program that answers them with
 * `answerCalls`; what it touches of the world is its own.
 */
import { parentPort, Worker } from 'node:worker_threads'
import { InvariantViolation } from '../../base/assert.ts'

type Call = { readonly id: number; readonly name: string; readonly argument: unknown }
type Failure = { readonly name: string; readonly message: string; readonly code: string | undefined }
type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly failure: Failure })

type Pending = { resolve(value: unknown): void; reject(error: Error): void }

/** A thread that runs `program`, begun with the first call. It does not keep the process alive. */
export class WorkerThread {
  readonly #program: URL
  #worker: Worker | undefined
  #pending = new Map<number, Pending>()
  #calls = 0

  constructor(program: URL) {
    this.#program = program
  }

  /** Rejects with what the program throws, and when the thread ends before it has answered. */
  call(name: string, argument: unknown): Promise<unknown> {
    const worker = (this.#worker ??= this.#start())
    const id = this.#calls++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      worker.postMessage({ id, name, argument } satisfies Call)
    })
  }

  /** Ends the thread wherever it is; the next call begins another. */
  async end(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
    this.#lost(worker, new Error('the thread was ended'))
    await worker.terminate()
  }

  #start(): Worker {
    const worker = new Worker(this.#program)
    worker.unref()
    worker.on('message', (answer: Answer) => this.#answered(answer))
    worker.on('error', error => this.#lost(worker, error as Error))
    worker.on('exit', code => this.#lost(worker, new Error(`the thread ended by itself with ${code}`)))
    return worker
  }

  #answered(answer: Answer): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if ('value' in answer) pending?.resolve(answer.value)
    else pending?.reject(errorOf(answer.failure))
  }

  #lost(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const waiting of pending) waiting.reject(error)
  }
}

/** For the program of a `WorkerThread`: answers its calls, one after the other. */
export function answerCalls(
  answers: Readonly<Record<string, (argument: unknown) => Promise<unknown>>>,
): void {
  let last: Promise<unknown> = Promise.resolve()
  parentPort?.on('message', ({ id, name, argument }: Call) => {
    last = last.then(async () => {
      try {
        const value = await answers[name]?.(argument)
        parentPort?.postMessage({ id, value } satisfies Answer)
      } catch (error) {
        parentPort?.postMessage({ id, failure: failureOf(error) } satisfies Answer)
      }
    })
  })
}

function failureOf(error: unknown): Failure {
  const { name, message, code } = error as NodeJS.ErrnoException
  return { name, message, code }
}

function errorOf({ name, message, code }: Failure): Error {
  if (name === InvariantViolation.name) return new InvariantViolation(message)
  return Object.assign(new Error(message), { name, code })
}
