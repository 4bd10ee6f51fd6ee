/** Members of a group, each a client in its own process. A client's name enters; a process leaves, with what it has consumed so far. */
import { join } from 'node:path'
import { launchProgram, type Configuration, type Program } from './clients/programs.ts'
import { launchTool } from './java.ts'
import { launch, type Outcome, type Running } from './processes.ts'
import { freshTopic } from './topics.ts'

export type Consumed = { readonly partition: number; readonly offset: number; readonly value: string }

export type Member = {
  readonly pid: number
  consumed(): Consumed[]
  /** Everything it printed besides. */
  said(): string
  /** Whether it has ended, by itself or because it was told to. */
  ended(): boolean
  /** Leaves the group in the client's own way, and ends. */
  leave(): Promise<Outcome>
  /** Ends as if struck by lightning. */
  kill(): Promise<Outcome>
}

/** @param name what nobody else in the group is called: the static id of the clients that have one */
type Join = (kafka: string, group: string, topic: string, name: string) => Promise<Running>

const script =
  (file: string): Join =>
  async (kafka, group, topic) =>
    launch(process.execPath, [join(import.meta.dirname, 'members', `${file}.ts`), kafka, group, topic])

type Properties = Readonly<Record<string, string>>
const patience = { 'session.timeout.ms': '6000', 'heartbeat.interval.ms': '500' }
const cooperative = { 'partition.assignment.strategy': 'cooperative-sticky' }
const javaAssignor = (name: string): Properties => ({
  'partition.assignment.strategy': `org.apache.kafka.clients.consumer.${name}`,
})
/** A static member is told from the others by its client id too, which every tool shows. */
const staticId = (name: string): Properties => ({ 'group.instance.id': name, 'client.id': name })

const settings = (option: string, properties: Properties): string[] =>
  Object.entries(properties).flatMap(([name, value]) => [option, `${name}=${value}`])

const kcat =
  (properties: Properties = {}): Join =>
  async (kafka, group, topic) => {
    const format = String.raw`%p %o %s\n`
    const asked = settings('-X', { 'auto.offset.reset': 'earliest', ...patience, ...properties })
    return launch('kcat', ['-G', group, topic, '-b', kafka, '-u', '-f', format, ...asked])
  }

const javaTool = (mainClass: string, args: readonly string[]): Promise<Running> =>
  launchTool(`org.apache.kafka.tools.${mainClass}`, args)

const consoleConsumer =
  (properties: Properties = {}): Join =>
  async (kafka, group, topic) => {
    const where = ['--bootstrap-server', kafka, '--group', group, '--topic', topic, '--from-beginning']
    const asked = settings('--command-property', { ...patience, ...properties })
    const printed = settings('--formatter-property', { 'print.partition': 'true', 'print.offset': 'true' })
    return javaTool('consumer.ConsoleConsumer', [...where, ...asked, ...printed])
  }

const verifiableConsumer =
  (...properties: string[]): Join =>
  async (kafka, group, topic, name) => {
    const where = ['--bootstrap-server', kafka, '--group-id', group, '--topic', topic]
    const asked = ['--session-timeout', '6000', '--group-instance-id', name, ...properties]
    return javaTool('VerifiableConsumer', [...where, ...asked, '--verbose'])
  }

const program =
  (client: Program, properties: (name: string) => Configuration = () => ({})): Join =>
  async (kafka, group, topic, name) =>
    launchProgram(client, kafka, 'member', topic, {
      'group.id': group,
      'auto.offset.reset': 'earliest',
      'session.timeout.ms': 6000,
      'heartbeat.interval.ms': 500,
      ...properties(name),
    })

/** The clients, each with what it brings to a group: the way its members are assigned their work, and whether they are static. */
const joins = {
  kafkajs: script('kafkajs'),
  platformatic: script('platformatic'),
  kcat: kcat(),
  'kcat, cooperative': kcat(cooperative),
  java: consoleConsumer(),
  'java, cooperative': consoleConsumer(javaAssignor('CooperativeStickyAssignor')),
  'VerifiableConsumer, static': verifiableConsumer(),
  '@confluentinc/kafka-javascript': program('@confluentinc/kafka-javascript'),
  '@confluentinc/kafka-javascript, cooperative': program('@confluentinc/kafka-javascript', () => cooperative),
  'confluent-kafka': program('confluent-kafka'),
  'confluent-kafka, cooperative, static': program('confluent-kafka', name => ({
    ...cooperative,
    ...staticId(name),
  })),
  'kafka-python': program('kafka-python'),
  'kafka-python, cooperative': program('kafka-python', () => cooperative),
  'kafka-python, static': program('kafka-python', staticId),
} as const satisfies Record<string, Join>

export type Client = keyof typeof joins
export const clients = Object.keys(joins) as Client[]
export const isStatic = (client: Client): boolean => client.endsWith('static')

/** Starts a member; that it has joined is seen by what it consumes. */
export async function startMember(
  client: Client,
  kafka: string,
  group: string,
  topic: string,
  name = freshTopic('member'),
): Promise<Member> {
  const running = await joins[client](kafka, group, topic, name)
  let ended = false
  void running.ended.then(() => (ended = true))
  return {
    pid: running.pid,
    consumed: () => running.stdout().split('\n').slice(0, -1).flatMap(parse),
    said: () => running.stderr(),
    ended: () => ended,
    leave: () => running.kill('SIGTERM'),
    kill: () => running.kill('SIGKILL'),
  }
}

/** `3 17 value`, or as Java prints it: `Partition:3\tOffset:17\tvalue`, or an event of VerifiableConsumer. */
function parse(line: string): Consumed[] {
  if (line.startsWith('{')) {
    const event = JSON.parse(line) as { name: string } & Consumed
    const { name, partition, offset, value } = event
    return name === 'record_data' ? [{ partition, offset, value }] : []
  }
  const match = /^(?:Partition:)?(\d+)[ \t](?:Offset:)?(\d+)[ \t](.*)$/.exec(line)
  if (match === null) return []
  return [{ partition: Number(match[1]), offset: Number(match[2]), value: match[3] ?? '' }]
}
