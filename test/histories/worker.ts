/** Lives the histories that it is told to, one after the other. */
import { inspect } from 'node:util'
import { parentPort } from 'node:worker_threads'
import { lives, type Kind, type Lived } from './lives.ts'

export type Task = { readonly kind: Kind; readonly seed: number }
export type Outcome = { readonly lived: Lived } | { readonly failure: string }

parentPort?.on('message', ({ kind, seed }: Task) => {
  lives[kind](seed).then(
    lived => answer({ lived }),
    (error: unknown) => answer({ failure: inspect(error) }),
  )
})

const answer = (outcome: Outcome): void => parentPort?.postMessage(outcome)
