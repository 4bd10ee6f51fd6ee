import { listenerText, withListener, type DoorName, type Listener } from '../../control/settings/listeners.ts'
import { resolveBroker } from '../../broker/settings/resolve.ts'
import { usageFailure } from '../failure.ts'

type Settings = Readonly<Record<string, string>>

export type Wanted = {
  readonly brokers: number
  /** HOST:PORT of broker 0's doors, when not those of `listeners`. */
  readonly kafka: string | undefined
  readonly http: string | undefined
  /** As they are said for all. */
  readonly settings: Settings
}

/** Ports that a broker has had before: whoever knows them shall find it there again. */
export type Ports = Readonly<Partial<Record<DoorName, number>>>

const most = 3

/**
 * The settings of broker `id` among several on one machine: its ports are so many above those of broker 0, copies go over loopback, and topics
 * get three replicas where nobody has said otherwise. `{id}` in a value is its number.
 * @throws Failure when something is set that every broker must have for itself
 */
export function memberSettings(
  { brokers, kafka, http, settings }: Wanted,
  id: number,
  before: Ports = {},
): Settings {
  for (const name of ['broker.id', 'node.id'])
    if (settings[name] !== undefined)
      throw usageFailure(
        `--brokers gives the brokers their numbers, and ${name} is set.`,
        `Leave out ${name}.`,
      )
  const own = Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, value.replaceAll('{id}', String(id))]),
  )
  const { listeners, advertisedListeners, logFile } = resolveBroker({ dynamic: {}, static: own })
  let list = listeners.map(listenerText).join(',')
  if (kafka !== undefined) list = withListener(list, 'kafka', kafka)
  if (http !== undefined) list = withListener(list, 'http', http)
  if (!listeners.some(({ door }) => door === 'replication'))
    list = withListener(list, 'replication', '127.0.0.1:0')
  const shifted = resolveBroker({ dynamic: {}, static: { listeners: list } }).listeners.map(listener =>
    listenerText({ ...listener, port: before[listener.door] ?? above(listener, id) }),
  )
  return {
    'default.replication.factor': String(Math.min(most, brokers)),
    ...own,
    'broker.id': String(id),
    listeners: shifted.join(','),
    ...(advertisedListeners.length > 0 && {
      'advertised.listeners': advertisedListeners
        .map(listener => listenerText({ ...listener, port: above(listener, id) }))
        .join(','),
    }),
    ...(logFile !== '' && { 'stele.log.file': memberFile(logFile, id) }),
  }
}

function above({ port }: Listener, id: number): number {
  if (port + id > 65_535)
    throw usageFailure(`There is no port ${port + id} for broker ${id}.`, 'Begin lower.')
  return port === 0 ? 0 : port + id
}

/** One file cannot be rolled by several processes. */
const memberFile = (file: string, id: number): string => file.replace(/(\.[^./]*)?$/, `-broker-${id}$1`)
