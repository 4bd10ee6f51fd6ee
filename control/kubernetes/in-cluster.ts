/** The control store of a broker that runs in Kubernetes, from what the pod was given. Only such brokers load this. */
import { podAccess, type Access } from '../../kube/access.ts'
import { KubeClient } from '../../kube/client.ts'
import type { ControlStore } from '../store.ts'
import { openKubernetesStore, type KubernetesStoreOptions } from './store.ts'

export type InClusterOptions = Omit<KubernetesStoreOptions, 'api'> & {
  /** Of Stele, as the API server's audit log shows it. */
  readonly version: string
  /** For a process that runs outside of a pod. */
  readonly kubeconfig: string | undefined
}

/** A request that is not answered by then counts as unanswered; well below what a Lease lasts. */
const timeoutMs = 8_000

/** @throws Error with a sentence on what is missing */
export async function openInCluster(options: InClusterOptions): Promise<ControlStore> {
  const access = await accessOf(options.kubeconfig)
  const api = new KubeClient({ access, userAgent: `stele-broker/${options.version}`, timeoutMs })
  return openKubernetesStore({ ...options, api })
}

async function accessOf(kubeconfig: string | undefined): Promise<Access> {
  const access = podAccess()
  if (access !== undefined) return access
  if (kubeconfig !== undefined) {
    const { kubeConfigAccess } = await import('../../kube/kube-config.ts')
    return kubeConfigAccess({ file: kubeconfig })
  }
  throw new Error(
    'This process has no service account of Kubernetes: run it in a pod with automountServiceAccountToken, or set KUBECONFIG.',
  )
}
