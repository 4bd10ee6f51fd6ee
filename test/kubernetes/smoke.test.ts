import { afterAll, beforeAll, expect, test } from 'vitest'
import { holds, Namespace, nodeAddresses, nodes, until, type Pod } from './cluster.ts'
import { answering, applyWeb, fetchFrom, selector } from './web.ts'

const namespace = new Namespace('stele-smoke')
const names = ['web-0', 'web-1', 'web-2']

beforeAll(async () => {
  await namespace.create()
  await applyWeb(namespace)
})
afterAll(namespace.remove)

test('at least three nodes are ready', async () => {
  const ready = (await nodes()).filter(({ status }) => holds(status.conditions, 'Ready'))
  expect(ready.length).toBeGreaterThanOrEqual(3)
})

test('the pods of a StatefulSet run on three nodes, each with its volume bound', async () => {
  const pods = await namespace.pods(selector)
  expect(pods.map(({ metadata }) => metadata.name).sort()).toEqual(names)
  expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(3)
  for (const name of names) {
    const claim = await namespace.get<{ status: { phase: string } }>('persistentvolumeclaim', `data-${name}`)
    expect(claim.status.phase).toBe('Bound')
  }
})

test.each(names)('%s finds every pod by its name', async from => {
  for (const name of names) expect(await fetchFrom(namespace, from, `http://${name}.web:8080/`)).toBe(name)
})

test('a Service spreads connections over all pods', async () => {
  expect(
    await answering(namespace, 'web-0', `http://front.${namespace.name}.svc.cluster.local/`, 60),
  ).toEqual(names)
})

test('a NodePort answers on every node, asked from outside of the cluster', async () => {
  const service = await namespace.get<{ spec: { ports: { nodePort: number }[] } }>('service', 'outside')
  const port = service.spec.ports[0]?.nodePort
  for (const address of await nodeAddresses())
    expect(names).toContain(await (await fetch(`http://${address}:${port}/`)).text())
})

test('logs are read, and commands run in a pod', async () => {
  expect(await namespace.kubectl('logs', 'web-0')).toBe('listening\n')
  expect(await namespace.exec('web-1', 'hostname')).toBe('web-1\n')
})

test('a pod that was deleted comes back with its data', async () => {
  await namespace.exec('web-2', 'sh', '-c', 'echo kept > /data/file')
  const { metadata } = await namespace.get<Pod>('pod', 'web-2')
  await namespace.kubectl('delete', 'pod', 'web-2')
  await until('another web-2', async () => {
    const pod = await namespace.get<Pod>('pod', 'web-2')
    return pod.metadata.uid !== metadata.uid && holds(pod.status.conditions, 'Ready')
  })
  expect(await namespace.exec('web-2', 'cat', '/data/file')).toBe('kept\n')
})
