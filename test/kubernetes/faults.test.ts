/** Breaks nodes of the rig, so it runs on no other cluster. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { holds, isRig, Namespace, nodes, until } from './cluster.ts'
import { startComponent } from './rig/control-plane.ts'
import { isWell } from './rig/health.ts'
import { controlPlane, nodes as machines, type Node } from './rig/layout.ts'
import { connected, crash, remove } from './rig/machine.ts'
import { startNode, startProgram, type NodeProgram } from './rig/node.ts'
import { programs } from './rig/rig.ts'
import { answering, applyWeb, selector } from './web.ts'

const namespace = new Namespace('stele-faults')
const front = 'http://front/'

const isReady = async (node: Node): Promise<boolean> =>
  (await nodes()).some(
    ({ metadata, status }) => metadata.name === node.name && holds(status.conditions, 'Ready'),
  )

/** The machine and the address of a pod. */
async function whereIs(name: string): Promise<{ node: Node; address: string }> {
  const pod = (await namespace.pods(selector)).find(({ metadata }) => metadata.name === name)
  const node = machines.find(machine => machine.name === pod?.spec.nodeName)
  if (node === undefined) throw new Error(`${name} runs nowhere`)
  return { node, address: pod?.status.podIP ?? '' }
}

describe.runIf(isRig)('a node', () => {
  beforeAll(async () => {
    await namespace.create()
    await applyWeb(namespace)
  })
  afterAll(namespace.remove)

  test('that is cut off is seen as lost, others answer for it, and it comes back with its pod', async () => {
    const { node } = await whereIs('web-2')
    await connected(node, false)
    try {
      await until(`${node.name} to be lost`, async () => !(await isReady(node)))
      await until('the others to answer', async () => {
        const answers = await answering(namespace, 'web-0', front, 30)
        return answers.join(' ') === 'web-0 web-1'
      })
    } finally {
      await connected(node, true)
    }
    await until(`${node.name} to be back`, () => isReady(node))
    await until('all to answer', async () => (await answering(namespace, 'web-0', front, 60)).length === 3)
    expect((await whereIs('web-2')).node).toBe(node)
  })

  const crashing: readonly NodeProgram[] = ['kubelet', 'containerd', 'kube-proxy']
  test.each(crashing)(
    'goes on serving without its %s, and takes commands when that is back',
    async program => {
      const { node, address } = await whereIs('web-1')
      await crash(node, program)
      try {
        expect(await isWell(`http://${address}:8080/`)).toBe(true)
      } finally {
        await startProgram(node, program, await programs())
      }
      await until(`${node.name} to be well`, () => isReady(node))
      await until('a command to run', async () => (await namespace.exec('web-1', 'hostname')) === 'web-1\n')
      expect((await whereIs('web-1')).address).toBe(address)
    },
  )

  test("that loses its power comes back with its pod and the pod's data", async () => {
    await namespace.exec('web-1', 'sh', '-c', 'echo kept > /data/file; sync')
    const { node } = await whereIs('web-1')
    await remove(node)
    await until(`${node.name} to be lost`, async () => !(await isReady(node)))
    await startNode(node, await programs())
    await until(`${node.name} to be back`, () => isReady(node))
    await until('the data', async () => (await namespace.exec('web-1', 'cat', '/data/file')) === 'kept\n')
    await until('all to answer', async () => (await answering(namespace, 'web-0', front, 60)).length === 3)
    expect((await whereIs('web-1')).node).toBe(node)
  })

  test('serves without the API server', async () => {
    const { address } = await whereIs('web-1')
    await crash(controlPlane, 'kube-apiserver')
    try {
      expect(await isWell(`http://${address}:8080/`)).toBe(true)
    } finally {
      await startComponent('kube-apiserver', await programs())
    }
    expect(await namespace.exec('web-1', 'hostname')).toBe('web-1\n')
  })
})
