/** Members of a group, each a client in its own process. A client's name enters; a process leaves, with what it has consumed so far. */
import { join } from 'node:path'
import { kafkaClasspath, shortLived } from './java.ts'
import { launch, type Outcome, type Running } from './processes.ts'

export type Consumed = { readonly partition: number; readonly offset: number; readonly value: string }

export type Member = {
  readonly pid: number
  consumed(): Consumed[]
  /** Everything it printed besides. */
  said(): string
  /** Leaves the group in the client's own way, and ends. */
  leave(): Promise<Outcome>
  /** Ends as if struck by lightning. */
  kill(): Promise<Outcome>
}

type Join = (kafka: string, group: string, topic: string) => Promise<Running>

const script =
  (name: string): Join =>
  async (...args) =>
    launch(process.execPath, [join(import.meta.dirname, 'members', `${name}.ts`), ...args])

const settings = (option: string, ...values: string[]): string[] => values.flatMap(value => [option, value])
const patience = ['session.timeout.ms=6000', 'heartbeat.interval.ms=500']

const kcat: Join = async (kafka, group, topic) => {
  const format = String.raw`%p %o %s\n`
  const asked = settings('-X', 'auto.offset.reset=earliest', ...patience)
  return launch('kcat', ['-G', group, topic, '-b', kafka, '-u', '-f', format, ...asked])
}

const java: Join = async (kafka, group, topic) => {
  const where = ['--bootstrap-server', kafka, '--group', group, '--topic', topic, '--from-beginning']
  const asked = settings('--command-property', ...patience)
  const printed = settings('--formatter-property', 'print.partition=true', 'print.offset=true')
  const consumer = ['org.apache.kafka.tools.consumer.ConsoleConsumer', ...where, ...asked, ...printed]
  return launch('java', [...shortLived, ...consumer], { environment: { CLASSPATH: await kafkaClasspath() } })
}

const joins = { kafkajs: script('kafkajs'), platformatic: script('platformatic'), kcat, java } as const

export type Client = keyof typeof joins
export const clients = Object.keys(joins) as Client[]

/** Starts a member; that it has joined is seen by what it consumes. */
export async function startMember(
  client: Client,
  kafka: string,
  group: string,
  topic: string,
): Promise<Member> {
  const running = await joins[client](kafka, group, topic)
  return {
    pid: running.pid,
    consumed: () => running.stdout().split('\n').slice(0, -1).flatMap(parse),
    said: () => running.stderr(),
    leave: () => running.kill('SIGTERM'),
    kill: () => running.kill('SIGKILL'),
  }
}

/** `3 17 value`, or as Java prints it: `Partition:3\tOffset:17\tvalue`. */
function parse(line: string): Consumed[] {
  const match = /^(?:Partition:)?(\d+)[ \t](?:Offset:)?(\d+)[ \t](.*)$/.exec(line)
  if (match === null) return []
  return [{ partition: Number(match[1]), offset: Number(match[2]), value: match[3] ?? '' }]
}
