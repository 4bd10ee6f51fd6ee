import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../test/wire/ports.ts'
import { fetchIsAnswered, overKafka } from './kafka-protocol.ts'
import type { Peer } from './peer.ts'
import { Server } from './server.ts'

/** Makes what ships from the source: not for whoever only asks for help. */
const broker = (): Promise<typeof import('../broker.ts')> => import('../broker.ts')

const checkout = join(import.meta.dirname, '..', '..')

export const stele: Peer = {
  name: 'Stele',
  prepare: async () => {
    const { brokerMeasured, bundle } = await broker()
    const version = execFileSync(process.execPath, [bundle, '--version'], { encoding: 'utf8' }).trim()
    return `${version} (${brokerMeasured}${commit()}), Node ${process.versions.node}`
  },
  start: async ({ durability, data, topic }) => {
    const { bundle } = await broker()
    const kafka = await freePort()
    const http = `127.0.0.1:${await freePort()}`
    const settings = {
      'stele.flush': durability,
      'log.segment.delete.delay.ms': '0',
      'stele.log.level': 'warn',
    }
    const all = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
    const places = [`--data=${data}`, `--kafka=127.0.0.1:${kafka}`, `--http=${http}`, '--json']
    const server = await Server.start({
      command: process.execPath,
      args: [bundle, 'start', ...places, ...all.map(one => `--set=${one}`)],
      answers: () => fetchIsAnswered(kafka, topic),
    })
    return overKafka(kafka, server, all.join(', '), http)
  },
}

function commit(): string {
  if (!existsSync(join(checkout, '.git'))) return ''
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', checkout, ...args], { encoding: 'utf8' }).trim()
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes'
  return `, ${git('rev-parse', '--short', 'HEAD')}${changed}`
}
