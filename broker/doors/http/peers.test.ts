import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { brokerId, incarnation } from '../../../base/quantities.ts'
import type { Broker } from '../../../control/model.ts'
import { realClock } from '../../world/clock.ts'
import { Peers } from './peers.ts'

test.each([
  ['POST', 'REQUEST_TIMED_OUT'],
  ['GET', 'LEADER_NOT_AVAILABLE'],
])('a %s to a broker that falls silent is not waited for any longer', async (method, code) => {
  let asked = (): void => undefined
  const isAsked = new Promise<void>(resolve => (asked = resolve))
  const silent = createServer(() => asked())
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  const there: Broker = {
    brokerId: brokerId(1),
    incarnation: incarnation(1),
    diskId: 'disk',
    cleanStop: true,
    bootId: undefined,
    rack: undefined,
    addresses: { http: { host: '127.0.0.1', port } },
  }
  let alive = true
  const router = { self: brokerId(0), broker: () => there, isAlive: () => alive }
  const peers = new Peers({ router, clock: realClock })
  const answer = peers.ask(brokerId(1), method, '/')
  await isAsked
  alive = false
  await expect(answer).rejects.toMatchObject({ code })
  peers.close()
  silent.closeAllConnections()
  silent.close()
})
