/**
 * Where the doors listen, and what clients are told: texts in Kafka's syntax (`PLAINTEXT://host:port`) in, listeners out.
 * Each door listens at most once.
 */
import { Refusal } from '../../base/refusals.ts'
import type { Addresses } from '../model.ts'

export type DoorName = keyof Addresses

export type Listener = {
  readonly door: DoorName
  /** A name or an IP address, IPv6 without brackets; '' means every interface. */
  readonly host: string
  /** 0 asks the system for a free one. */
  readonly port: number
}

const schemes: Readonly<Record<DoorName, string>> = {
  kafka: 'PLAINTEXT',
  http: 'HTTP',
  external: 'EXTERNAL',
  replication: 'REPLICATION',
}
const doors = new Map((Object.keys(schemes) as DoorName[]).map(door => [schemes[door], door]))

/** The listeners of a comma-separated list; a sentence on what is wrong with it when it is none. An empty text is no listeners. */
export function parseListeners(list: string): readonly Listener[] | string {
  const found: Listener[] = []
  for (const part of list.split(',').map(one => one.trim())) {
    if (part === '' && list.trim() === '') break
    const listener = parseListener(part)
    if (typeof listener === 'string') return listener
    if (found.some(other => other.door === listener.door))
      return `${schemes[listener.door]} stands there twice`
    found.push(listener)
  }
  return found
}

function parseListener(part: string): Listener | string {
  const [, scheme, rest] = /^([A-Za-z_]+):\/\/(.*)$/.exec(part) ?? []
  if (scheme === undefined || rest === undefined)
    return `${JSON.stringify(part)} does not begin with PLAINTEXT://, HTTP://, EXTERNAL:// or REPLICATION://`
  const door = doors.get(scheme.toUpperCase())
  if (door === undefined) return `${scheme} is not served, only PLAINTEXT, HTTP, EXTERNAL and REPLICATION are`
  const place = parsePlace(rest)
  return place === undefined ? `${JSON.stringify(rest)} is not HOST:PORT` : { door, ...place }
}

function parsePlace(place: string): { host: string; port: number } | undefined {
  const [, six, plain, digits] =
    /^(?:\[([0-9a-fA-F:.%]+)\]|([^\s:/[\]]*)):(\d{1,5})$/.exec(place.trim()) ?? []
  const port = Number(digits)
  return digits === undefined || port > 65_535 ? undefined : { host: six ?? plain ?? '', port }
}

/**
 * The `listeners` text with `door` at `place` ("HOST:PORT") instead.
 * @throws Refusal INVALID_CONFIG when `place` or the list is none
 */
export function withListener(list: string, door: DoorName, place: string): string {
  const parsed = parsePlace(place)
  if (parsed === undefined) {
    throw new Refusal('INVALID_CONFIG', `the ${door} door must be at HOST:PORT, not ${JSON.stringify(place)}`)
  }
  const now = parseListeners(list)
  if (typeof now === 'string')
    throw new Refusal('INVALID_CONFIG', `listeners ${JSON.stringify(list)}: ${now}`)
  return [...now.filter(other => other.door !== door), { door, ...parsed }].map(listenerText).join(',')
}

/** As it stands in `listeners`. */
export const listenerText = ({ door, host, port }: Listener): string =>
  `${schemes[door]}://${host.includes(':') ? `[${host}]` : host}:${port}`

/**
 * What clients are told to connect to for `door`, which listens on `boundPort`: what `advertised.listeners` says, or else
 * its own address, and localhost where that is every interface.
 */
export function advertised(
  settings: { readonly listeners: readonly Listener[]; readonly advertisedListeners: readonly Listener[] },
  door: DoorName,
  boundPort: number,
): { host: string; port: number } {
  const told = settings.advertisedListeners.find(listener => listener.door === door)
  if (told !== undefined) return { host: told.host, port: told.port }
  const host = settings.listeners.find(listener => listener.door === door)?.host ?? ''
  return { host: isEveryInterface(host) ? 'localhost' : host, port: boundPort }
}

export const isEveryInterface = (host: string): boolean => host === '' || host === '0.0.0.0' || host === '::'
