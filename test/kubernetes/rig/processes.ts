// Processes that outlive the program that started them. Each is known by a file with its id and the time it started, so that
// another process that got the same id is never mistaken for it.
import { readFile, rm, writeFile } from 'node:fs/promises'
import { until } from './until.ts'

/**
 * The time since boot at which process `pid` started, in the kernel's ticks; undefined when there is none, or it is a zombie. The first thread of a killed
 * process is one before the others have ended, and until these have, its sockets are open.
 */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The second field is the program's name in brackets, with any character in it.
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const threads = Number(rest[16])
  return state === 'Z' && threads <= 1 ? undefined : rest[18]
}

export async function record(file: string, pid: number): Promise<void> {
  await writeFile(file, `${pid} ${await startTime(pid)}\n`)
}

/** The id of the process that `file` stands for, undefined when it has ended. */
export async function recorded(file: string): Promise<number | undefined> {
  const [pid, started] = (await readFile(file, 'utf8').catch(() => '')).trim().split(' ')
  if (pid === undefined || pid === '') return undefined
  return (await startTime(Number(pid))) === started ? Number(pid) : undefined
}

/** Ends the process that `file` stands for, and waits until it is gone. */
export async function kill(file: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const pid = await recorded(file)
  if (pid !== undefined) {
    process.kill(pid, signal)
    await until(`process ${pid} to end`, async () => (await recorded(file)) === undefined)
  }
  await rm(file, { force: true })
}

/** The only child of process `pid`. */
export async function childOf(pid: number): Promise<number> {
  let child = ''
  await until(
    `a child of process ${pid}`,
    async () => {
      child = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim()
      return child !== ''
    },
    { lost: async () => (await startTime(pid)) === undefined },
  )
  return Number(child)
}
