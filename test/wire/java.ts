/** Kafka's own command-line tools, run from Maven Central's jars. */
import { createHash } from 'node:crypto'
import { access, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jarsFolder, kafkaVersion, mavenClasspath } from '../kafka-jars.ts'
import { ToolsMachine } from './java-machine.ts'
import { launch, noteCommand, run, story, succeed, type Outcome, type Running } from './processes.ts'

const source = join(import.meta.dirname, 'Tools.java')

type Tools = {
  /** The class path of Kafka's broker and tools, with a logger that prints warnings on standard error. */
  readonly classpath: string
  /**
   * What was made of it: Tools.class, which runs many tools in one virtual machine, and an archive of the classes of Kafka's
   * tools as they are once they were loaded: with it a tool starts in half the time. Another Java does without the archive.
   */
  readonly folder: string
}

let made: Promise<Tools> | undefined
const tools = (): Promise<Tools> => (made ??= makeTools())

async function makeTools(): Promise<Tools> {
  const jars = await mavenClasspath([
    `org.apache.kafka:kafka_2.13:${kafkaVersion}`,
    `org.apache.kafka:kafka-tools:${kafkaVersion}`,
    'org.slf4j:slf4j-simple:1.7.36',
  ])
  const classpath = jars.join(':')
  const madeFrom = [classpath, await readFile(source, 'utf8')]
  const key = createHash('sha256').update(JSON.stringify(madeFrom)).digest('hex').slice(0, 16)
  const folder = join(jarsFolder, `tools-${key}`)
  if (!(await exists(folder))) await makeInto(folder, classpath)
  return { classpath, folder }
}

async function makeInto(folder: string, classpath: string): Promise<void> {
  const beside = await mkdtemp(`${folder}.`)
  const environment = { CLASSPATH: classpath }
  try {
    const compiler = ['--module', 'jdk.compiler/com.sun.tools.javac.Main', '-d', beside, source]
    await succeed('java', [...plain, ...compiler], { environment })
    // A tool that finds no broker has loaded most of what tools need when it ends.
    const patience = join(beside, 'patience.properties')
    await writeFile(patience, 'default.api.timeout.ms=500\nrequest.timeout.ms=400\n')
    const tool = ['--bootstrap-server', '127.0.0.1:1', '--command-config', patience, '--list']
    const flags = [...plain, `-XX:ArchiveClassesAtExit=${archiveIn(beside)}`]
    await run('java', [...flags, 'org.apache.kafka.tools.TopicCommand', ...tool], { environment })
    await rename(beside, folder).catch(async (error: unknown) => {
      // Somebody else was faster; theirs is as good.
      if (!(await exists(folder))) throw error
    })
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const archiveIn = (folder: string): string => join(folder, 'classes.jsa')

const plain = [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  // Not even that it cannot use the archive: it would say so on standard output.
  '-Xlog:disable',
  '-Xmx512m',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]

export const kafkaClasspath = async (): Promise<string> => (await tools()).classpath

/** Starts one of Kafka's tools in a virtual machine of its own, and leaves it running. */
export async function launchTool(
  mainClass: string,
  args: readonly string[],
  options: { limitMs?: number } = {},
): Promise<Running> {
  const { classpath, folder } = await tools()
  const flags = [...plain, `-XX:SharedArchiveFile=${archiveIn(folder)}`]
  // In the environment, so that the command line stays short enough to read.
  return launch('java', [...flags, mainClass, ...args], { ...options, environment: { CLASSPATH: classpath } })
}

/** A virtual machine for many tools: it starts with the first. */
export async function toolsMachine(): Promise<ToolsMachine> {
  const { classpath, folder } = await tools()
  const flags = [...plain, `-XX:SharedArchiveFile=${archiveIn(folder)}`]
  return new ToolsMachine([...flags, 'Tools'], { CLASSPATH: `${classpath}:${folder}` })
}

let machine: Promise<ToolsMachine> | undefined

/**
 * Runs one tool to its end, in the virtual machine that all tools of this process share; after a minute it is killed.
 * @param mainClass with its package: `org.apache.kafka.tools.TopicCommand`
 * @throws Error with the command line and the output when it does not end with exit code 0
 */
export async function java(
  mainClass: string,
  args: readonly string[],
  { input = '' }: { input?: string } = {},
): Promise<Outcome> {
  const commandLine = noteCommand('java', [mainClass, ...args])
  const ours = await (machine ??= toolsMachine())
  const outcome = { commandLine, ...(await ours.run([mainClass, ...args], input, 60_000)) }
  if (outcome.code !== 0) throw new Error(story(outcome))
  return outcome
}

/** A Java program that stays, with the jars of `artifacts` (Kafka's own, by name) and what they need; its log goes to standard error. */
export async function launchJava(
  artifacts: readonly string[],
  mainClass: string,
  args: readonly string[],
): Promise<Running> {
  const jars = await mavenClasspath([
    ...artifacts.map(name => `org.apache.kafka:${name}:${kafkaVersion}`),
    'org.slf4j:slf4j-simple:1.7.36',
  ])
  // Its class path is another one.
  const flags = [...plain, '-Dorg.slf4j.simpleLogger.defaultLogLevel=info']
  return launch('java', [...flags, mainClass, ...args], { environment: { CLASSPATH: jars.join(':') } })
}
