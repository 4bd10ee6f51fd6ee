// Before the suite: a cluster. That of KUBECONFIG when it is set, else the rig, which goes down afterwards when it was not up before.
import process from 'node:process'
import type { TestProject } from 'vitest/node'
import { helm, podMonitors } from './rig/binaries.ts'
import { kubeconfig } from './rig/layout.ts'
import { lock } from './rig/lock.ts'
import { down, isUp, up } from './rig/rig.ts'

declare module 'vitest' {
  interface ProvidedContext {
    kubeconfig: string
    /** The cluster is the rig, so that its nodes can be broken. */
    isRig: boolean
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env['KUBECONFIG']
  const isRig = given === undefined || given === '' || given === kubeconfig
  project.provide('kubeconfig', isRig ? kubeconfig : given)
  project.provide('isRig', isRig)
  if (!isRig) return undefined
  const release = await lock()
  const wasUp = await isUp()
  try {
    await up()
    // Built here, where no test waits for it.
    await helm()
    await podMonitors()
  } catch (error) {
    // What came up stays, to be looked at.
    await release()
    throw error
  }
  return async () => {
    if (!wasUp) await down()
    await release()
  }
}
