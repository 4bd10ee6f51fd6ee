/**
 * The clients whose programs stand in this folder, each in the language of its own. All take the same commands, and print
 * the same: `member` a line `partition offset value` for each record until SIGTERM makes it leave; `consume` one JSON object
 * for each of `count` records; `produce` sends the lines `key\tvalue` of its standard input with two headers and tells how
 * many were `delivered`; `admin` walks through a topic's life, step for step; `transactions` tries to begin one.
 */
import { join } from 'node:path'
import { launch, type LaunchOptions, type Running } from '../processes.ts'
import { runtimeOf } from './install.ts'

const programs = {
  '@confluentinc/kafka-javascript': {
    file: 'confluent.cjs',
    runtime: 'confluent',
    bootstrap: 'bootstrap.servers',
  },
  'confluent-kafka': { file: 'confluent.py', runtime: 'python', bootstrap: 'bootstrap.servers' },
  'kafka-python': { file: 'kafka-python.py', runtime: 'python', bootstrap: 'bootstrap_servers' },
} as const

export type Program = keyof typeof programs
export const programNames = Object.keys(programs) as Program[]

export type Command = 'member' | 'produce' | 'consume' | 'admin' | 'transactions'
export type Configuration = Record<string, string | number | boolean>

/** Starts a client's program. The configuration has the names that the client itself has for it, written with dots. */
export async function launchProgram(
  program: Program,
  kafka: string,
  command: Command,
  topic: string,
  configuration: Configuration = {},
  options: LaunchOptions = {},
): Promise<Running> {
  const { file, runtime, bootstrap } = programs[program]
  const { command: interpreter, environment } = await runtimeOf(runtime)
  const config = JSON.stringify({ [bootstrap]: kafka, ...configuration })
  const args = [join(import.meta.dirname, file), command, topic, config]
  return launch(interpreter, args, { ...options, environment })
}
