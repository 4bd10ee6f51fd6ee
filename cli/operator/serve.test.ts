import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { serve } from './serve.ts'

test('probes and metrics are answered', async () => {
  let ready = false
  const operator = { isReady: () => ready, metrics: () => Promise.resolve('workqueue_depth 0\n') }
  const server = await serve('127.0.0.1:0', operator)
  const { port } = server.address() as AddressInfo
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    return [answer.status, await answer.text()]
  }
  expect(await ask('/livez')).toEqual([200, 'ok\n'])
  expect((await ask('/readyz'))[0]).toBe(503)
  ready = true
  expect((await ask('/readyz'))[0]).toBe(200)
  expect(await ask('/metrics')).toEqual([200, 'workqueue_depth 0\n'])
  expect((await ask('/'))[0]).toBe(404)
  server.close()
})
