/**
 * Keeps pages of other sites away: a browser sends for them whatever they like. In come the headers that a browser sets and no
 * page can change; out goes a refusal, or nothing.
 */
import { BlockList, isIP } from 'node:net'
import type { IncomingHttpHeaders } from 'node:http'
import type { Refusal } from '../../../base/refusals.ts'
import { Advice, shown } from './errors.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether only programs of this machine can reach all of `addresses`. */
export const isLoopbackOnly = (addresses: readonly string[]): boolean =>
  addresses.every(address => loopback.check(address, address.includes(':') ? 'ipv6' : 'ipv4'))

export type Door = {
  readonly loopbackOnly: boolean
  /** What the settings call this door. */
  readonly names: readonly string[]
}

type Request = { readonly method: string; readonly headers: IncomingHttpHeaders }

/** The refusal of a request that another site's page may have sent; undefined when none has. */
export function refusalOfPage({ method, headers }: Request, door: Door): Refusal | undefined {
  const { host = '', origin } = headers
  if (door.loopbackOnly && host !== '' && !isKnown(hostnameIn(host), door.names)) {
    return new Advice(
      'POLICY_VIOLATION',
      `The header Host names ${shown(host)}, which is not this broker: it can be reached from its own machine alone`,
      'Use localhost or an IP address, or put the name into advertised.listeners.',
    )
  }
  if (method === 'GET' || method === 'HEAD' || origin === undefined || isSame(origin, host)) return undefined
  return new Advice(
    'POLICY_VIOLATION',
    `A page of ${shown(origin)} may not send ${method} to ${shown(host)}`,
    'Send it from a program, or from a page that this broker serves.',
  )
}

/** Without a port, brackets and the dot that may end a name. */
const hostnameIn = (host: string): string =>
  (URL.parse(`http://${host}`)?.hostname ?? host).replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')

const isKnown = (hostname: string, names: readonly string[]): boolean =>
  isIP(hostname) !== 0 ||
  /(?:^|\.)localhost$/.test(hostname) ||
  names.some(name => name.toLowerCase() === hostname)

/** `null`, what a page without an origin sends, is none. */
function isSame(origin: string, host: string): boolean {
  const theirs = URL.parse(origin)
  return (
    theirs !== null && theirs.host !== '' && URL.parse(`${theirs.protocol}//${host}`)?.host === theirs.host
  )
}
