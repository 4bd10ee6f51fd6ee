/** Kafka's own command-line tools, run from Maven Central's jars. */
import { kafkaVersion, mavenClasspath } from '../kafka-jars.ts'
import { launch, run, story, type LaunchOptions, type Outcome, type Running } from './processes.ts'

/** The class path of Kafka's broker and tools, with a logger that prints warnings on standard error. */
export const kafkaClasspath = async (): Promise<string> => {
  const jars = await mavenClasspath([
    `org.apache.kafka:kafka_2.13:${kafkaVersion}`,
    `org.apache.kafka:kafka-tools:${kafkaVersion}`,
    'org.slf4j:slf4j-simple:1.7.36',
  ])
  return jars.join(':')
}

/** Options for a virtual machine that lives a second or two. */
export const shortLived = [
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-Xmx512m',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]

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
  const flags = [...shortLived, '-Dorg.slf4j.simpleLogger.defaultLogLevel=info']
  return launch('java', [...flags, mainClass, ...args], { ...options, environment })
}
