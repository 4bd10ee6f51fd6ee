/** NATS JetStream, server and tool built from the Go module proxy. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from '../../test/kubernetes/rig/cache.ts'
import { go } from '../../test/kubernetes/rig/go.ts'
import { freePort } from '../../test/wire/ports.ts'
import { succeed } from '../../test/wire/processes.ts'
import { Missing, NotAsked, type Peer, type Rate, type RunningPeer } from './peer.ts'
import { answersTo, Server } from './server.ts'

const versions = { server: '2.15.2', tool: '0.3.0', toolsServer: '2.12.0' }
const limitMs = 900_000

const programs = (): Promise<string> =>
  cached(`nats-${versions.server}-${versions.tool}`, async directory => {
    await build(directory, 'github.com/nats-io/nats-server/v2', versions.server)
    // It asks for a version of the server's packages that is not published.
    const replaced = 'github.com/nats-io/nats-server/v2'
    const replace = `replace ${replaced} => ${replaced} v${versions.toolsServer}\n`
    await build(directory, 'github.com/nats-io/natscli', versions.tool, '/nats', replace)
  })

async function build(into: string, module: string, version: string, program = '', more = ''): Promise<void> {
  const made = await mkdtemp(join(into, 'module-'))
  await writeFile(join(made, 'go.mod'), `module peer\n\nrequire ${module} v${version}\n\n${more}`)
  await go(['build', '-ldflags', '-s -w', '-o', `${into}/`, `${module}${program}`], made)
  await rm(made, { recursive: true })
}

export const nats: Peer = {
  name: 'NATS',
  prepare: async () => {
    await programs().catch((error: unknown) => {
      throw new Missing(`its programs could not be built: ${String(error)}`)
    })
    return `JetStream of nats-server ${versions.server}, nats ${versions.tool}`
  },
  start: async ({ durability, data, topic }) => {
    const bin = await programs()
    const port = await freePort()
    const sync = durability === 'fsync' ? ', sync_interval: always' : ''
    const config = join(data, 'nats.conf')
    const jetStream = `jetstream { store_dir: ${JSON.stringify(join(data, 'store'))}${sync} }`
    await writeFile(config, `listen: "127.0.0.1:${port}"\n${jetStream}\n`)
    const tool = async (...args: string[]): Promise<string> => {
      const all = ['--server', `127.0.0.1:${port}`, ...args]
      return (await succeed(join(bin, 'nats'), all, { limitMs })).stdout.toString()
    }
    const server = await Server.start({
      command: join(bin, 'nats-server'),
      args: ['--config', config],
      answers: () => isThere(port, topic),
    })
    return running({ port, server, tool, settings: `file storage${sync}` })
  },
}

/** JetStream says how it is, or how that stream is: it holds something. */
function isThere(port: number, topic?: string): Promise<boolean> {
  const subject = topic === undefined ? 'INFO' : `STREAM.INFO.${topic}`
  const request = `CONNECT {"verbose":false}\r\nSUB answer 1\r\nPUB $JS.API.${subject} answer 0\r\n\r\n`
  return answersTo(port, request, answer => {
    const text = answer.toString()
    return topic === undefined ? text.includes('account_info_response') : /"messages":[1-9]/.test(text)
  })
}

type Parts = {
  readonly port: number
  readonly server: Server
  readonly tool: (...args: string[]) => Promise<string>
  readonly settings: string
}

function running({ port, server, tool, settings }: Parts): RunningPeer {
  return {
    addresses: { nats: `127.0.0.1:${port}` },
    server,
    settings,
    createTopic: async name => {
      await tool('stream', 'add', name, '--subjects', name, '--storage', 'file', '--defaults')
    },
    deleteTopic: async name => void (await tool('stream', 'rm', '--force', name)),
    produce: async ({ topic, recordBytes, records, acks, batchBytes, perSecond }) => {
      if (perSecond !== undefined) throw new NotAsked('`nats bench` has no steady pace with percentiles')
      if (acks === '1') throw new NotAsked('it has one kind of acknowledgement, asked as acks=all')
      const batch = String(Math.max(1, Math.floor(batchBytes / recordBytes)))
      const size = ['--size', String(recordBytes), '--msgs', String(records), '--batch', batch]
      return rateOf(
        await tool('bench', 'js', 'pub', 'async', topic, '--stream', topic, ...size, '--no-progress'),
      )
    },
    consume: async ({ topic, recordBytes, records }) => {
      const size = ['--size', String(recordBytes), '--msgs', String(records)]
      return rateOf(await tool('bench', 'js', 'ordered', '--stream', topic, ...size, '--no-progress'))
    },
    roundTrips: async () => {
      throw new NotAsked('`nats bench` does not time one message from a producer to a consumer')
    },
  }
}

/** Of what `nats bench` prints the line of statistics counts. */
export function rateOf(printed: string): Rate {
  const found = /stats: ([\d,]+) msgs\/sec/.exec(printed)?.[1]
  if (found === undefined) throw new Error(`nats bench printed: ${printed}`)
  return { recordsPerSecond: Number(found.replaceAll(',', '')) }
}
