/** The versions of the clients, asked of themselves. */
import { createRequire } from 'node:module'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { kafkaVersion } from '../../kafka-jars.ts'
import { succeed } from '../processes.ts'
import type { ClientName } from './evidence.ts'
import { runtimeOf } from './install.ts'

async function ofPackage(name: string): Promise<string> {
  const { resolve } = createRequire(import.meta.url)
  for (let folder = dirname(resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => '{}')
    const found = JSON.parse(text) as { name?: string; version?: string }
    if (found.name === name && found.version !== undefined) return found.version
  }
  throw new Error(`${name} does not say its version`)
}

async function kcatVersion(): Promise<string> {
  const { stdout, stderr } = await succeed('kcat', ['-V'])
  const found = /Version (\S+) .*librdkafka ([\d.]+)/s.exec(`${stdout.toString()}${stderr}`)
  if (found === null) throw new Error('kcat does not say its version')
  return `${found[1]}, librdkafka ${found[2]}`
}

async function printed(client: 'python' | 'confluent', program: string): Promise<string> {
  const { command, environment } = await runtimeOf(client)
  const option = client === 'python' ? '-c' : '-e'
  return (await succeed(command, [option, program], { environment })).stdout.toString().trim()
}

const confluentJavascript =
  "const { version } = require('@confluentinc/kafka-javascript/package.json'), { librdkafkaVersion } = require('@confluentinc/kafka-javascript'); console.log(version + ', librdkafka ' + librdkafkaVersion)"
const confluentPython =
  "import confluent_kafka as c; print(c.version() + ', librdkafka ' + c.libversion()[0])"

export const versions: Record<ClientName, () => Promise<string>> = {
  kcat: kcatVersion,
  kafkajs: () => ofPackage('kafkajs'),
  '@platformatic/kafka': () => ofPackage('@platformatic/kafka'),
  '@confluentinc/kafka-javascript': () => printed('confluent', confluentJavascript),
  'confluent-kafka': () => printed('python', confluentPython),
  'kafka-python': () => printed('python', 'import kafka; print(kafka.__version__)'),
  "Kafka's own": async () => kafkaVersion,
}
