/** RabbitMQ's streams, server from Debian, and its PerfTest from Maven Central; nothing is installed on the machine. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mavenClasspath } from '../../test/kafka-jars.ts'
import { environment, packages } from '../../test/kubernetes/rig/packages.ts'
import { freePort } from '../../test/wire/ports.ts'
import { succeed } from '../../test/wire/processes.ts'
import { Missing, NotAsked, type Peer, type RunningPeer } from './peer.ts'
import { answersTo, Server } from './server.ts'

const limitMs = 900_000
/** The tool for the streams' own protocol is published as a binary only; this one speaks AMQP 0.9.1 to them. */
const perfTest = ['com.rabbitmq:perf-test:2.22.1', 'org.slf4j:slf4j-simple:1.7.36']

const root = (): Promise<string> => packages(['rabbitmq-server'])

export const rabbitmq: Peer = {
  name: 'RabbitMQ',
  prepare: async () => {
    try {
      const home = homeIn(await root())
      await mavenClasspath(perfTest)
      return `Streams of rabbitmq-server ${home.split('-').at(-1)}, loaded over AMQP 0.9.1 by PerfTest ${perfTest[0]?.split(':')[2]}`
    } catch (error) {
      throw new Missing(`apt-get (as root, on Debian) or mvn could not fetch it: ${String(error)}`)
    }
  },
  start: async ({ durability, data }) => {
    if (durability === 'fsync')
      throw new NotAsked('its streams leave it to the operating system when records reach the disk')
    const directory = await root()
    const [port, epmdPort, distributionPort] = [await freePort(), await freePort(), await freePort()]
    const erlang = join(directory, 'usr/lib/erlang')
    const programs = join(erlang, readdirSync(erlang).find(name => name.startsWith('erts-')) ?? '', 'bin')
    const bin = join(data, 'bin')
    mkdirSync(bin, { recursive: true })
    // Debian's own `erl` looks for its parts where they are when they are installed.
    const erl = `#!/bin/sh\nROOTDIR='${erlang}' BINDIR='${programs}' EMU=beam PROGNAME=erl exec '${programs}/erlexec' "$@"\n`
    writeFileSync(join(bin, 'erl'), erl)
    chmodSync(join(bin, 'erl'), 0o755)
    const settings = { HOME: data, ...settingsIn(data, directory), RABBITMQ_NODENAME: 'bench@localhost' }
    const ports = {
      // Then the script becomes the server and does not wait for it.
      RUNNING_UNDER_SYSTEMD: 'true',
      ERL_EPMD_PORT: String(epmdPort),
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_DIST_PORT: String(distributionPort),
    }
    const found = environment(directory)
    const server = await Server.start({
      command: join(homeIn(directory), 'sbin/rabbitmq-server'),
      args: [],
      // Knows the nodes' names. Not found at its port, Erlang would start one that outlives it.
      beside: { command: join(programs, 'epmd'), args: ['-port', String(epmdPort), '-address', '127.0.0.1'] },
      environment: { ...settings, ...ports, ...found, PATH: `${bin}:${found['PATH']}` },
      answers: () => answersTo(port, 'AMQP\0\0\x09\x01', answer => answer.length > 8),
    })
    return running(port, server)
  },
}

const homeIn = (directory: string): string => {
  const place = join(directory, 'usr/lib/rabbitmq/lib')
  return join(place, readdirSync(place).find(name => name.startsWith('rabbitmq_server-')) ?? '')
}

function settingsIn(data: string, directory: string): Record<string, string> {
  writeFileSync(join(data, 'enabled_plugins'), '[rabbitmq_stream].\n')
  // The plugin's own door, which no tool here uses, would be at a fixed port.
  writeFileSync(join(data, 'rabbitmq.conf'), 'stream.listeners.tcp = none\n')
  return {
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(data, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(data, 'enabled_plugins'),
    RABBITMQ_PLUGINS_DIR: join(homeIn(directory), 'plugins'),
    RABBITMQ_MNESIA_BASE: join(data, 'mnesia'),
    RABBITMQ_LOG_BASE: join(data, 'log'),
    RABBITMQ_SCHEMA_DIR: join(data, 'schema'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(data, 'config'),
  }
}

function running(port: number, server: Server): RunningPeer {
  const amqp = `amqp://guest:guest@127.0.0.1:${port}`
  const perf = async (...args: string[]): Promise<string> => {
    const options = { environment: { CLASSPATH: (await mavenClasspath(perfTest)).join(':') }, limitMs }
    const log = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'
    const where = ['--uri', amqp, '--stream-queue', '--auto-delete', 'false']
    return (
      await succeed('java', [log, 'com.rabbitmq.perf.PerfTest', ...where, ...args], options)
    ).stdout.toString()
  }
  return {
    addresses: { amqp },
    server,
    settings: 'streams that PerfTest makes',
    // PerfTest makes what it writes to, and the whole directory goes at the end.
    createTopic: async () => undefined,
    deleteTopic: async () => undefined,
    produce: async ({ topic, recordBytes, records, acks, batchBytes, perSecond }) => {
      if (perSecond !== undefined) throw new NotAsked('PerfTest tells percentiles of the last second only')
      if (acks === '1') throw new NotAsked('it has one kind of acknowledgement, asked as acks=all')
      const inFlight = String(Math.max(1, Math.floor(batchBytes / recordBytes)))
      const size = ['--size', String(recordBytes), '--pmessages', String(records), '--confirm', inFlight]
      return {
        recordsPerSecond: rateOf(await perf('--queue', topic, '--consumers', '0', ...size), 'sending'),
      }
    },
    consume: async ({ topic, records }) => {
      const from = ['--consumer-args', 'x-stream-offset=first', '--qos', '1000', '--multi-ack-every', '500']
      const size = ['--producers', '0', '--cmessages', String(records)]
      return { recordsPerSecond: rateOf(await perf('--queue', topic, ...size, ...from), 'receiving') }
    },
    roundTrips: async () => {
      throw new NotAsked('PerfTest does not send one record after the other was received')
    },
  }
}

/** Of what PerfTest prints the average over the whole run counts. */
export function rateOf(printed: string, of: 'sending' | 'receiving'): number {
  const found = new RegExp(`${of} rate avg: (\\d+) msg/s`).exec(printed)?.[1]
  if (found === undefined) throw new Error(`PerfTest printed: ${printed}`)
  return Number(found)
}
