/**
 * Random histories in great number, on all cores: `--count` seeds from `--seed` on, each lived as a history of every kind. Out come progress, what was done how
 * often, the command that repeats what failed, and with `--json` the results as vitest writes them.
 */
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { inspect, parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { lives, repeat, type Kind } from './lives.ts'
import type { Outcome, Task } from './worker.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
})
const [count, first] = [Number(values.count), Number(values.seed)]
if (!(count >= 1 && Number.isSafeInteger(count) && first >= 0 && Number.isSafeInteger(first)))
  throw new Error(`how many histories, and from which seed on? Not ${values.count} from ${values.seed} on`)

/** What takes longer does not come to an end: they take parts of a second. */
const historyMsMax = 180_000
const seedsATest = 100

const kinds = Object.keys(lives) as Kind[]
const tasks: Task[] = Array.from({ length: count }, (_, i) => first + i).flatMap(seed =>
  kinds.map(kind => ({ kind, seed })),
)
const failed: (Task & { readonly failure: string })[] = []
const lived = new Map(
  kinds.map(kind => [kind, { histories: 0, acknowledged: 0, done: new Map<string, number>() }]),
)
const beganMs = performance.now()
const seconds = (): string => `${Math.round((performance.now() - beganMs) / 1000)} s`
let ended = 0

const cores = Math.min(availableParallelism(), tasks.length)
await Promise.all(Array.from({ length: cores }, work))
report()
process.exitCode = failed.length > 0 ? 1 : 0

/** One core's share: a worker, and another one in its place when it breaks. */
async function work(): Promise<void> {
  let worker: Worker | undefined
  for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
    worker ??= new Worker(new URL('worker.ts', import.meta.url))
    const outcome = await outcomeOf(worker, task)
    if ('failure' in outcome) {
      fail(task, outcome.failure)
      await worker.terminate()
      worker = undefined
    } else note(task, outcome)
    progress()
  }
  await worker?.terminate()
}

function outcomeOf(worker: Worker, task: Task): Promise<Outcome> {
  return new Promise(resolve => {
    const broken = (error: unknown): void => end({ failure: inspect(error) })
    const late = (): void => end({ failure: `it did not end within ${historyMsMax} ms` })
    const timer = setTimeout(late, historyMsMax)
    const end = (outcome: Outcome): void => {
      clearTimeout(timer)
      worker.off('message', end).off('error', broken)
      resolve(outcome)
    }
    worker.on('message', end).on('error', broken)
    worker.postMessage(task)
  })
}

function note({ kind }: Task, { lived: one }: Extract<Outcome, { lived: unknown }>): void {
  const all = lived.get(kind)
  if (all === undefined) return
  all.histories++
  all.acknowledged += one.acknowledged
  for (const [deed, times] of Object.entries(one.done)) all.done.set(deed, (all.done.get(deed) ?? 0) + times)
}

function fail(task: Task, failure: string): void {
  failed.push({ ...task, failure })
  console.log(`FAILED: ${task.kind}, seed ${task.seed}: ${repeat(task.seed)}\n${failure}`)
}

/** A line for every tenth. */
function progress(): void {
  const all = count * kinds.length
  const tenths = (n: number): number => Math.floor((10 * n) / all)
  ended++
  if (tenths(ended) > tenths(ended - 1))
    console.log(`${ended} of ${all} histories in ${seconds()}, ${failed.length} failed`)
}

function report(): void {
  for (const [kind, { histories, acknowledged, done }] of lived) {
    const deeds = [...done].toSorted(([, a], [, b]) => b - a).map(([deed, times]) => `${deed} ${times}`)
    console.log(`${kind}: ${histories} histories, ${acknowledged} acknowledged; ${deeds.join(', ')}`)
  }
  console.log(
    `seeds ${first} to ${first + count - 1} in ${seconds()} on ${cores} cores, ${failed.length} failed`,
  )
  for (const { kind, seed } of failed) console.log(`${kind}, seed ${seed}: ${repeat(seed)}`)
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(results()))
}

/** A test is so many seeds of one kind. */
function results() {
  const assertionResults = kinds.flatMap(kind =>
    Array.from({ length: Math.ceil(count / seedsATest) }, (_, n) => {
      const from = first + n * seedsATest
      const to = Math.min(from + seedsATest, first + count)
      const failures = failed.filter(one => one.kind === kind && one.seed >= from && one.seed < to)
      return {
        title: `histories: ${kind}, seeds ${from} to ${to - 1}`,
        status: failures.length > 0 ? 'failed' : 'passed',
        failureMessages: failures.map(({ failure }) => failure),
      }
    }),
  )
  const status = failed.length > 0 ? 'failed' : 'passed'
  return { success: failed.length === 0, testResults: [{ name: 'test/histories', status, assertionResults }] }
}
