// A real Kubernetes on this machine: a control plane and three nodes, without Docker and without a network beyond package registries.
// Enters: nothing but the cache. Leaves: a kubeconfig. Always holds: what is up can be taken down, also when it came up half-way.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { coredns, kubernetes } from './binaries.ts'
import { removeCgroups } from './cgroups.ts'
import { startControlPlane, type Programs } from './control-plane.ts'
import { server } from './credentials.ts'
import { isWell } from './health.ts'
import { makeImages } from './images.ts'
import { kubectl } from './kubectl.ts'
import { controlPlane, nodes, state } from './layout.ts'
import { remove } from './machine.ts'
import { addBridge, removeBridge } from './network.ts'
import { loadImages, startNode } from './node.ts'
import { parts } from './packages.ts'
import { checkMachine } from './requirements.ts'
import { addVolumes, recycleVolumes } from './volumes.ts'

/** What the rig is made of, built when it is not in the cache. */
export const programs = async (): Promise<Programs> => ({
  debian: await parts(),
  kubernetes: await kubernetes(),
})

export const isUp = (): Promise<boolean> => isWell(`${server}/readyz`).catch(() => false)

/** Brings the rig up. One that is up gets the images of now and its volumes back. */
export async function up(): Promise<void> {
  await checkMachine()
  const made = await programs()
  const dns = await coredns()
  if (await isUp()) {
    const archive = await makeImages(state, { ...made, coredns: dns })
    await Promise.all(nodes.map(node => loadImages(node, made, archive)))
    await recycleVolumes(made)
    return
  }
  await down()
  await mkdir(state, { recursive: true })
  const archive = makeImages(state, { ...made, coredns: dns })
  await addBridge()
  await Promise.all([archive, startControlPlane(made)])
  await Promise.all(nodes.map(async node => startNode(node, made, await archive)))
  await addVolumes(made)
  await kubectl(made, ['apply', '-f', join(import.meta.dirname, 'coredns.yaml')])
  await kubectl(made, ['wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=60s'])
  await kubectl(made, ['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=60s'])
}

/** Takes down what is up, and removes every trace but the cache. */
export async function down(): Promise<void> {
  await Promise.all([controlPlane, ...nodes].map(remove))
  await removeBridge()
  await removeCgroups()
  await rm(state, { recursive: true, force: true })
}
