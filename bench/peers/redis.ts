/** Redis Streams, server and tool from Debian; nothing is installed on the machine. */
import { join } from 'node:path'
import { environment, packages } from '../../test/kubernetes/rig/packages.ts'
import { freePort } from '../../test/wire/ports.ts'
import { succeed } from '../../test/wire/processes.ts'
import { Missing, NotAsked, type Peer, type Rate, type RunningPeer } from './peer.ts'
import { answersTo, Server } from './server.ts'

const limitMs = 900_000
/** One XREAD brings so many records. */
const recordsEach = 100

const root = (): Promise<string> => packages(['redis-server', 'redis-tools'])

export const redis: Peer = {
  name: 'Redis',
  prepare: async () => {
    const directory = await root().catch((error: unknown) => {
      throw new Missing(`apt-get could not fetch redis-server (as root, on Debian): ${String(error)}`)
    })
    const server = join(directory, 'usr/bin/redis-server')
    const { stdout } = await succeed(server, ['--version'], { environment: environment(directory) })
    return `Streams of redis-server ${/v=(\S+)/.exec(stdout.toString())?.[1]}, redis-benchmark with it`
  },
  start: async ({ durability, data }) => {
    const directory = await root()
    const port = await freePort()
    const settings = ['--appendonly', 'yes', '--appendfsync', durability === 'fsync' ? 'always' : 'no']
    const places = ['--bind', '127.0.0.1', '--port', String(port), '--dir', data]
    const server = await Server.start({
      command: join(directory, 'usr/bin/redis-server'),
      // Without snapshots of all it holds, which the append-only file makes needless.
      args: [...places, ...settings, '--save', ''],
      environment: environment(directory),
      answers: () => answersTo(port, 'PING\r\n', answer => answer.toString().startsWith('+PONG')),
    })
    const tool = async (program: string, ...args: string[]): Promise<string> => {
      const options = { environment: environment(directory), limitMs }
      const all = ['-h', '127.0.0.1', '-p', String(port), ...args]
      return (await succeed(join(directory, 'usr/bin', program), all, options)).stdout.toString()
    }
    return running(port, server, tool, `${settings.join(' ')} --save ''`)
  },
}

function running(
  port: number,
  server: Server,
  tool: (program: string, ...args: string[]) => Promise<string>,
  settings: string,
): RunningPeer {
  const benchmark = async (
    requests: number,
    inFlight: number,
    command: readonly string[],
  ): Promise<number> => {
    const load = ['-n', String(requests), '-c', '1', '-P', String(inFlight), '--csv']
    return requestsOf(await tool('redis-benchmark', ...load, ...command))
  }
  return {
    addresses: { redis: `127.0.0.1:${port}` },
    server,
    settings,
    // A stream is made by the first record.
    createTopic: async () => undefined,
    deleteTopic: async name => void (await tool('redis-cli', 'UNLINK', name)),
    produce: async ({ topic, recordBytes, records, acks, batchBytes, perSecond }) => {
      if (perSecond !== undefined) throw new NotAsked('`redis-benchmark` has no steady pace')
      if (acks === '1') throw new NotAsked('it has one kind of acknowledgement, asked as acks=all')
      const inFlight = Math.max(1, Math.floor(batchBytes / recordBytes))
      const command = ['XADD', topic, '*', 'v', 'x'.repeat(recordBytes)]
      return { recordsPerSecond: await benchmark(records, inFlight, command) }
    },
    consume: async ({ topic, records }): Promise<Rate> => {
      const command = ['XREAD', 'COUNT', String(recordsEach), 'STREAMS', topic, '0']
      const reads = await benchmark(Math.ceil(records / recordsEach), 1, command)
      return { recordsPerSecond: reads * recordsEach }
    },
    roundTrips: async () => {
      throw new NotAsked('`redis-benchmark` does not time one record from a producer to a consumer')
    },
  }
}

/** Of what `redis-benchmark --csv` prints: requests a second, the second column of its last line. */
export function requestsOf(printed: string): number {
  const found = /^"[^"]*","([\d.]+)"/.exec(printed.trim().split('\n').at(-1) ?? '')?.[1]
  if (found === undefined) throw new Error(`redis-benchmark printed: ${printed}`)
  return Number(found)
}
