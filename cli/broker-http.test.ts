import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { BrokerHttp, Unavailable } from './broker-http.ts'

test('a broker that takes a request and says nothing is given up, with what to do', async () => {
  const silent = createServer(socket => socket.resume()).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const url = new URL(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`)
  const broker = new BrokerHttp(url, 100)
  const error: unknown = await broker.json({ method: 'GET', path: '/v1/topics' }).catch((why: unknown) => why)
  expect(error).toBeInstanceOf(Unavailable)
  expect((error as Error).message).toContain('does not answer')
  broker.close()
  silent.close()
})
