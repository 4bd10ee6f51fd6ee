import { expect, test } from 'vitest'
import { brokerId } from '../../base/quantities.ts'
import type { ServiceObject } from '../../kube/resources.ts'
import { externalAddress } from './external-address.ts'

const service = (spec: object, ingress?: object): ServiceObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's' },
  spec,
  ...(ingress && { status: { loadBalancer: { ingress: [ingress] } } }),
})
const nodePort = service({ type: 'NodePort', ports: [{ name: 'external', port: 9094, nodePort: 30_000 }] })
const id = brokerId(7)

test('by a port of nodes', () => {
  expect(externalAddress({ type: 'NodePort' }, id, nodePort)).toEqual({ host: '$(NODE_IP)', port: 30_000 })
  expect(externalAddress({ type: 'NodePort', host: 'b{id}.example.org' }, id, nodePort)).toEqual({
    host: 'b7.example.org',
    port: 30_000,
  })
  expect(
    externalAddress(
      { type: 'NodePort' },
      id,
      service({ type: 'NodePort', ports: [{ name: 'external', port: 1 }] }),
    ),
  ).toBeUndefined()
})

test('by a load balancer', () => {
  const spec = { type: 'LoadBalancer' }
  const listener = { type: 'LoadBalancer' } as const
  expect(externalAddress(listener, id, service(spec, { ip: '10.1.1.1' }))).toEqual({
    host: '10.1.1.1',
    port: 9094,
  })
  expect(externalAddress(listener, id, service(spec, { hostname: 'lb' }))).toEqual({ host: 'lb', port: 9094 })
  expect(externalAddress(listener, id, service(spec))).toBeUndefined()
  expect(externalAddress({ ...listener, host: 'b{id}' }, id, service(spec))).toEqual({
    host: 'b7',
    port: 9094,
  })
  expect(externalAddress(listener, id, nodePort)).toBeUndefined()
  expect(externalAddress(listener, id, undefined)).toBeUndefined()
})
