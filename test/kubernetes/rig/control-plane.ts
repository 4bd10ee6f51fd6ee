// The machine `control-plane`: etcd, the API server, the controller manager and the scheduler.
import { join } from 'node:path'
import {
  authority,
  certificates,
  kubeconfigOf,
  makeKubeconfigs,
  makeTokens,
  server,
  serviceAccountKey,
  tokens,
} from './credentials.ts'
import { isWell } from './health.ts'
import { controlPlane, domain, podRange, serviceRange } from './layout.ts'
import { directoryOf, inside, make, ready, start } from './machine.ts'
import { environment } from './packages.ts'

export type Component = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler'

export interface Programs {
  /** The root of the Debian packages. */
  debian: string
  /** The directory of Kubernetes' own programs. */
  kubernetes: string
}

export const auditLog = join(directoryOf(controlPlane), 'audit.log')

/** What nobody may wait longer for than this: a node that does not report is NotReady. Kubernetes' own default is 50 s. */
const nodeSilentMax = '12s'

const etcd = `http://${controlPlane.address}:2379`

const flags: Record<Component, readonly string[]> = {
  etcd: [
    '--data-dir=/var/lib/etcd',
    `--listen-client-urls=${etcd}`,
    `--advertise-client-urls=${etcd}`,
    '--listen-peer-urls=http://127.0.0.1:2380',
  ],
  'kube-apiserver': [
    `--etcd-servers=${etcd}`,
    `--advertise-address=${controlPlane.address}`,
    `--cert-dir=${certificates}`,
    `--token-auth-file=${tokens}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    `--service-account-issuer=https://kubernetes.default.svc.${domain}`,
    `--service-account-key-file=${serviceAccountKey}`,
    `--service-account-signing-key-file=${serviceAccountKey}`,
    `--service-cluster-ip-range=${serviceRange}`,
    '--kubelet-preferred-address-types=InternalIP',
    `--audit-policy-file=${join(import.meta.dirname, 'audit-policy.yaml')}`,
    `--audit-log-path=${auditLog}`,
  ],
  'kube-controller-manager': [
    `--kubeconfig=${kubeconfigOf('system:kube-controller-manager')}`,
    `--root-ca-file=${authority}`,
    `--service-account-private-key-file=${serviceAccountKey}`,
    '--use-service-account-credentials',
    `--cluster-cidr=${podRange}`,
    '--leader-elect=false',
    '--node-monitor-period=1s',
    `--node-monitor-grace-period=${nodeSilentMax}`,
  ],
  'kube-scheduler': [`--kubeconfig=${kubeconfigOf('system:kube-scheduler')}`, '--leader-elect=false'],
}

const health: Record<Component, string> = {
  etcd: `${etcd}/health`,
  'kube-apiserver': `${server}/readyz`,
  'kube-controller-manager': `https://${controlPlane.address}:10257/healthz`,
  'kube-scheduler': `https://${controlPlane.address}:10259/healthz`,
}

export async function startControlPlane(programs: Programs): Promise<void> {
  await makeTokens()
  await make(controlPlane)
  // In memory: it ends with the machine, and no disk makes the API slow.
  await inside(controlPlane, ['sh', '-euc', 'mkdir -p /var/lib/etcd; mount -t tmpfs tmpfs /var/lib/etcd'])
  await startComponent('etcd', programs)
  await startComponent('kube-apiserver', programs)
  await makeKubeconfigs()
  await Promise.all([
    startComponent('kube-controller-manager', programs),
    startComponent('kube-scheduler', programs),
  ])
}

/** Starts a component, also one that crashed, and waits until it is well. */
export async function startComponent(component: Component, programs: Programs): Promise<void> {
  const program =
    component === 'etcd' ? join(programs.debian, 'usr/bin/etcd') : join(programs.kubernetes, component)
  await start(controlPlane, component, [program, ...flags[component]], environment(programs.debian))
  await ready(controlPlane, component, () => isWell(health[component]))
}
