/** Several brokers of this checkout as `stele start --brokers` runs them: in goes a data directory, out come their addresses and processes. */
import { join } from 'node:path'
import { checkout } from './broker.ts'
import { launch, type Running } from './processes.ts'

export type ThreeBrokers = {
  /** host:port of all, with commas between. */
  readonly kafka: string
  /** http://host:port, by broker. */
  readonly http: readonly string[]
  readonly running: Running
  /** The process that is broker `id` now. */
  pidOf(id: number): number
  log(): string
}

type Ready = { readonly kafka: string; readonly brokers: readonly { http: string; pid: number }[] }

export async function startThreeBrokers(data: string, ...args: string[]): Promise<ThreeBrokers> {
  const running = launch(process.execPath, [
    join(checkout, 'cli', 'main.ts'),
    'start',
    '--brokers=3',
    '--json',
    `--data=${data}`,
    '--kafka=127.0.0.1:0',
    '--http=127.0.0.1:0',
    ...args,
  ])
  const readyLine = (): string | undefined =>
    running
      .stdout()
      .split('\n')
      .find(line => line.startsWith('{"ready":true'))
  await running.printed(() => readyLine() !== undefined)
  const { kafka, brokers } = JSON.parse(readyLine() ?? '') as Ready
  return {
    kafka,
    http: brokers.map(({ http }) => http),
    running,
    log: () => running.stdout() + running.stderr(),
    pidOf: id => lastReady(running.stderr(), id) ?? brokers[id]?.pid ?? NaN,
  }
}

/** What a broker's process is, its parent says whenever it has started one. */
function lastReady(log: string, id: number): number | undefined {
  const line = log
    .split('\n')
    .findLast(one => one.includes('"msg":"broker is ready"') && one.includes(`"broker":${id},`))
  return line === undefined ? undefined : (JSON.parse(line) as { pid: number }).pid
}
