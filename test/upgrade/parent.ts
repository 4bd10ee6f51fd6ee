/**
 * What `stele start --brokers 3` is, for brokers of several builds: `node parent.ts DATA` keeps the control store and starts whom it is told, each with the
 * program it is told. It runs in this checkout, and as a copy in the old one. Commands come a line each (`start ID PROGRAM`, `stop ID`, `end`), answers leave as lines of JSON.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { brokerId } from '../../base/quantities.ts'
import { realWorld } from '../../broker/world/world.ts'
import { openClusterDirectory } from '../../cli/start/cluster-directory.ts'
import { memberSettings, type Ports } from '../../cli/start/member-settings.ts'
import { openEmbeddedStore } from '../../control/embedded/store.ts'
import type { Channel, ToBroker, ToStore } from '../../control/served/messages.ts'
import { StoreServer } from '../../control/served/server.ts'

const brokers = 3
const [data = ''] = process.argv.slice(2)
const world = realWorld()
const directory = openClusterDirectory(world, data, brokers)
const store = openEmbeddedStore({ ...world, path: directory.control })
const complete = new Promise<void>(resolve => {
  const look = (): void => {
    if (store.brokers().size === brokers) resolve()
  }
  store.watch(look)
  look()
})
const server = new StoreServer({ clusterId: directory.clusterId, store, clock: world.clock, complete })
const members = new Map<number, ChildProcess>()
const ports = new Map<number, Ports>()
const settings = { 'stele.log.level': 'info' }

const tell = (what: object): void => void process.stdout.write(`${JSON.stringify(what)}\n`)
const portOf = ([place]: readonly string[]): number => Number(place?.split(':').at(-1))

type Ready = { readonly kind: 'ready'; readonly doors: Record<'kafka' | 'http', readonly string[]> }

function start(id: number, program: string): void {
  const wanted = { brokers, kafka: '127.0.0.1:0', http: '127.0.0.1:0', settings }
  const given = Object.entries(memberSettings(wanted, id, ports.get(id)))
  const args = given.map(([name, value]) => `--set=${name}=${value}`)
  const child = fork(program, ['start', '--control=parent', `--data=${directory.of(id)}`, ...args], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  members.set(id, child)
  const channel: Channel<ToBroker, ToStore> = {
    send(message, sent) {
      if (child.connected) child.send(message, undefined, {}, () => sent?.())
      else sent?.()
    },
    received: () => undefined,
    ended: () => undefined,
  }
  child.on('message', message => {
    const told = message as ToStore | Ready
    if (told.kind !== 'ready') return channel.received(told)
    const { kafka, http } = told.doors
    ports.set(id, { kafka: portOf(kafka), http: portOf(http) })
    tell({ ready: id, kafka: kafka[0], http: http[0] })
  })
  child.once('close', (code, signal) => {
    channel.ended()
    members.delete(id)
    tell({ ended: id, code, signal })
  })
  server.serve(brokerId(id), channel)
}

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, id, program = ''] = line.split(' ')
  if (verb === 'start') start(Number(id), program)
  else if (verb === 'stop') members.get(Number(id))?.kill('SIGTERM')
  else break
}
// Nobody is left behind.
for (const child of members.values()) child.kill('SIGKILL')
await store.close()
server.stop()
directory.release()
// Its standard input is still open.
process.exit(0)
