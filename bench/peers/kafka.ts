import { kafkaVersion } from '../../test/kafka-jars.ts'
import { kafkaClasspath } from '../../test/wire/java.ts'
import { formatKafka } from '../../test/wire/kafka-reference.ts'
import { installed, succeed } from '../../test/wire/processes.ts'
import { fetchIsAnswered, overKafka } from './kafka-protocol.ts'
import { javaFlags } from './kafka-tools.ts'
import { Missing, type Peer } from './peer.ts'
import { Server } from './server.ts'

/** As bin/kafka-server-start.sh of Kafka 4.3 has it. */
const heap = ['-Xmx1G', '-Xms1G']

export const kafka: Peer = {
  name: 'Kafka',
  prepare: async () => {
    for (const [program, name] of [
      ['java', 'default-jre-headless'],
      ['mvn', 'maven'],
    ] as const)
      if (!installed(program)) throw new Missing(`${program} is not installed (apt-get install ${name})`)
    await kafkaClasspath()
    const { stdout } = await succeed('java', ['--version'])
    return `${kafkaVersion}, ${stdout.toString().split('\n')[0]}`
  },
  start: async ({ durability, data, topic }) => {
    const settings = {
      'log.segment.delete.delay.ms': '0',
      // What flush.messages is for a topic, for all.
      ...(durability === 'fsync' ? { 'log.flush.interval.messages': '1' } : {}),
    }
    const formatted = await formatKafka({ data, settings })
    const port = Number(formatted.kafka.split(':').at(-1))
    const server = await Server.start({
      command: 'java',
      args: [
        ...javaFlags,
        ...heap,
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        'kafka.Kafka',
        formatted.properties,
      ],
      environment: { CLASSPATH: await kafkaClasspath() },
      answers: () => fetchIsAnswered(port, topic),
    })
    const all = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
    return overKafka(port, server, [...all, 'one node, KRaft', heap.join(' ')].join(', '))
  },
}
