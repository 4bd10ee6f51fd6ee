/**
 * A real Kafka of one node (KRaft), the peer that the tests are proven against.
 *
 * `node test/wire/kafka-reference.ts [DIRECTORY]` runs one until it is interrupted and prints its address.
 */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrokerOptions } from './broker.ts'
import { java, kafkaClasspath } from './java.ts'
import { freePort } from './ports.ts'
import { launch, type Running } from './processes.ts'

type KafkaOptions = Pick<BrokerOptions, 'settings' | 'kafka'> & { data: string }

/** Makes `options.data` ready for Kafka, and formats it when it is empty. Out: where it will listen, and the file it is to be started with. */
export async function formatKafka(options: KafkaOptions): Promise<{ kafka: string; properties: string }> {
  const kafka = options.kafka ?? `127.0.0.1:${await freePort()}`
  const controller = `127.0.0.1:${await freePort()}`
  await mkdir(options.data, { recursive: true })
  const properties = join(options.data, 'server.properties')
  await writeFile(properties, propertiesOf(kafka, controller, options))
  if (!existsSync(join(options.data, 'logs', 'meta.properties'))) {
    await java('kafka.tools.StorageTool', [
      'format',
      '--standalone',
      '--cluster-id',
      'q1Sh-9_ISia_zwGINzRvyQ',
      '--config',
      properties,
    ])
  }
  return { kafka, properties }
}

/** Starts Kafka on `options.data` (formatted when empty) and answers when it serves. */
export async function startKafka(
  options: KafkaOptions,
): Promise<{ kafka: string; http: string; process: Running }> {
  const { kafka, properties } = await formatKafka(options)
  const running = launch(
    'java',
    ['-Xmx1g', '-Dorg.slf4j.simpleLogger.defaultLogLevel=info', 'kafka.Kafka', properties],
    { environment: { CLASSPATH: await kafkaClasspath() } },
  )
  await running.printed(printed => printed.stderr().includes('Kafka Server started'))
  return { kafka, http: '', process: running }
}

function propertiesOf(kafka: string, controller: string, options: KafkaOptions): string {
  const all: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `PLAINTEXT://${kafka},CONTROLLER://${controller}`,
    'advertised.listeners': `PLAINTEXT://${kafka},CONTROLLER://${controller}`,
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.bootstrap.servers': controller,
    'log.dirs': join(options.data, 'logs'),
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    ...options.settings,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

if (import.meta.main) {
  const data = process.argv[2] ?? (await mkdtemp(join(tmpdir(), 'kafka-reference-')))
  const { kafka, process: running } = await startKafka({ data })
  process.stdout.write(`kafka  ${kafka}\n`)
  await running.ended
}
