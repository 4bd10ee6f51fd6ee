import { afterAll, beforeAll, expect, test } from 'vitest'
import { images, Namespace, nodeAddresses, restricted, until } from './cluster.ts'
import { RawConnection } from '../wire/raw.ts'

const namespace = new Namespace('stele-broker')
const labels = { app: 'stele' }
const ports = [
  { name: 'kafka', port: 9092 },
  { name: 'http', port: 8080 },
]

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'stele' },
  spec: {
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: {
        containers: [
          {
            name: 'stele',
            image: images.stele,
            args: ['start', '--data=/data', '--kafka=0.0.0.0:9092', '--http=0.0.0.0:8080'],
            ports: ports.map(({ name, port }) => ({ name, containerPort: port })),
            readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 1 },
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
            securityContext: restricted,
          },
        ],
        volumes: [{ name: 'data', emptyDir: {} }],
      },
    },
  },
}

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'stele' },
  spec: { type: 'NodePort', selector: labels, ports },
}

let kafka = ''
let http = ''
beforeAll(async () => {
  await namespace.create()
  await namespace.apply(deployment, service)
  await namespace.rolledOut('deployment/stele', 'app=stele')
  const { spec } = await namespace.get<{ spec: { ports: { name: string; nodePort: number }[] } }>(
    'service',
    'stele',
  )
  const [address] = await nodeAddresses()
  const at = (door: string): string => `${address}:${spec.ports.find(({ name }) => name === door)?.nodePort}`
  kafka = at('kafka')
  http = at('http')
  // Nodes learn of a pod that became ready a moment later.
  await until('the Service to answer', async () => (await fetch(`http://${http}/readyz`)).ok)
})
afterAll(namespace.remove)

test("a broker's metrics are read through a Service", async () => {
  const metrics = await (await fetch(`http://${http}/metrics`)).text()
  expect(metrics).toContain('\nstele_broker_ready 1\n')
})

test('a broker tells through a Service which requests of Kafka it knows', async () => {
  const apiVersions = 18
  const connection = await RawConnection.open(kafka)
  try {
    const answer = await connection.ask(apiVersions, 0, Buffer.alloc(0))
    expect(answer.int16()).toBe(0)
    expect(answer.int32()).toBeGreaterThan(20)
  } finally {
    connection.close()
  }
})
