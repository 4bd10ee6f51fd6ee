/** Kafka's own command-line tools, run from Maven Central's jars. */
import { existsSync } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jarsFolder, kafkaVersion, mavenClasspath } from '../kafka-jars.ts'
import { launch, run, story, type LaunchOptions, type Outcome, type Running } from './processes.ts'

/** The classes of Kafka's tools as they are once they were loaded: with them a tool starts in half the time. Another Java does without. */
const archive = join(jarsFolder, `tools-${kafkaVersion}.jsa`)

/** The class path of Kafka's broker and tools, with a logger that prints warnings on standard error. */
export const kafkaClasspath = async (): Promise<string> => {
  const jars = await mavenClasspath([
    `org.apache.kafka:kafka_2.13:${kafkaVersion}`,
    `org.apache.kafka:kafka-tools:${kafkaVersion}`,
    'org.slf4j:slf4j-simple:1.7.36',
  ])
  const classpath = jars.join(':')
  archiving ??= existsSync(archive) ? Promise.resolve() : makeArchive(classpath)
  await archiving
  return classpath
}

let archiving: Promise<void> | undefined

/** A tool that finds no broker has loaded most of what tools need when it ends. */
async function makeArchive(classpath: string): Promise<void> {
  const beside = await mkdtemp(join(jarsFolder, 'archive-'))
  try {
    const patience = join(beside, 'patience.properties')
    await writeFile(patience, 'default.api.timeout.ms=500\nrequest.timeout.ms=400\n')
    const made = join(beside, 'made.jsa')
    const tool = ['--bootstrap-server', '127.0.0.1:1', '--command-config', patience, '--list']
    const flags = [...plain, `-XX:ArchiveClassesAtExit=${made}`]
    await run('java', [...flags, 'org.apache.kafka.tools.TopicCommand', ...tool], {
      environment: { CLASSPATH: classpath },
    })
    await rename(made, archive)
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
}

const plain = [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-Xmx512m',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]

/** Options for a virtual machine that lives a second or two, with `kafkaClasspath`. */
export const shortLived = [...plain, `-XX:SharedArchiveFile=${archive}`]

/**
 * Runs one tool to its end.
 * @param mainClass with its package: `org.apache.kafka.tools.TopicCommand`
 * @throws Error with the command line and the output when it does not end with exit code 0
 */
export async function java(
  mainClass: string,
  args: readonly string[],
  options: LaunchOptions = {},
): Promise<Outcome> {
  // In the environment, so that the command line stays short enough to read.
  const environment = { CLASSPATH: await kafkaClasspath(), ...options.environment }
  const outcome = await run('java', [...shortLived, mainClass, ...args], { ...options, environment })
  if (outcome.code !== 0) throw new Error(story(outcome))
  return outcome
}

/** A Java program that stays, with the jars of `artifacts` (Kafka's own, by name) and what they need; its log goes to standard error. */
export async function launchJava(
  artifacts: readonly string[],
  mainClass: string,
  args: readonly string[],
  options: LaunchOptions = {},
): Promise<Running> {
  const jars = await mavenClasspath([
    ...artifacts.map(name => `org.apache.kafka:${name}:${kafkaVersion}`),
    'org.slf4j:slf4j-simple:1.7.36',
  ])
  const environment = { CLASSPATH: jars.join(':'), ...options.environment }
  // Its class path is another one.
  const flags = [...plain, '-Dorg.slf4j.simpleLogger.defaultLogLevel=info']
  return launch('java', [...flags, mainClass, ...args], { ...options, environment })
}
