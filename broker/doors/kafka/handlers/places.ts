import { isEveryInterface } from '../../../../control/settings/listeners.ts'
import type { Call } from './handler.ts'

export type BrokerPlace = {
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** Where this client reaches each broker that is there, by the listener it came in at; those that have none like it are left out. */
export function brokerPlaces(call: Call): BrokerPlace[] {
  const { router } = call.desk
  return router.brokers().flatMap(({ brokerId: id, rack, addresses }) => {
    if (!router.isAlive(id)) return []
    const place = id === router.self ? ownPlace(call) : addresses[call.listener]
    return place === undefined ? [] : [{ nodeId: id, host: place.host, port: place.port, rack: rack || null }]
  })
}

/**
 * As `advertised.listeners` says, otherwise where the door listens; for a door that listens everywhere, the address that this
 * client has reached it at.
 */
function ownPlace({ desk, localAddress, listener }: Call): { host: string; port: number } | undefined {
  const told = desk.router.settings.advertisedListeners.find(({ door }) => door === listener)
  if (told !== undefined) return { host: told.host, port: told.port }
  const place = desk.places[listener]
  if (place === undefined) return undefined
  return { host: isEveryInterface(place.host) ? withoutMapping(localAddress) : place.host, port: place.port }
}

/** A socket for both families shows IPv4 addresses inside IPv6 ones. */
const withoutMapping = (address: string): string => address.replace(/^::ffff:(?=[\d.]+$)/, '')
