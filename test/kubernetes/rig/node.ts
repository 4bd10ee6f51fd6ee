// A node of the cluster: containerd, the kubelet and kube-proxy on a machine of its own.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { addCgroups, cgroupOf } from './cgroups.ts'
import type { Programs } from './control-plane.ts'
import { kubeconfigOf } from './credentials.ts'
import { isWell } from './health.ts'
import { images } from './images.ts'
import { dnsAddress, domain, podRange, type Node } from './layout.ts'
import { directoryOf, inside, make, ready, start } from './machine.ts'
import { environment } from './packages.ts'
import { mountVolumes } from './volumes.ts'

export type NodeProgram = 'containerd' | 'kubelet' | 'kube-proxy'

const file = (node: Node, name: string): string => join(directoryOf(node), name)
const socket = '/run/containerd/containerd.sock'

/** Boots a node, also one that was removed: what is on its disk it still has, as are the images of an `archive` once given. */
export async function startNode(node: Node, programs: Programs, archive?: string): Promise<void> {
  await make(node)
  await mountVolumes(node)
  await addCgroups(node)
  await writeConfiguration(node, programs)
  await startProgram(node, 'containerd', programs)
  if (archive !== undefined) await loadImages(node, programs, archive)
  await Promise.all([startProgram(node, 'kubelet', programs), startProgram(node, 'kube-proxy', programs)])
}

export const loadImages = (node: Node, programs: Programs, archive: string): Promise<string> =>
  inside(node, ['ctr', '-n', 'k8s.io', 'images', 'import', archive], environment(programs.debian))

/** Starts a program, also one that crashed, and waits until it is well. */
export async function startProgram(node: Node, program: NodeProgram, programs: Programs): Promise<void> {
  await start(node, program, commandLines[program](node, programs), environment(programs.debian))
  await ready(node, program, () => health[program](node, programs))
}

const commandLines: Record<NodeProgram, (node: Node, programs: Programs) => string[]> = {
  containerd: (node, { debian }) => [
    join(debian, 'usr/bin/containerd'),
    `--config=${file(node, 'containerd.toml')}`,
  ],
  kubelet: (node, { kubernetes }) => [
    join(kubernetes, 'kubelet'),
    `--config=${file(node, 'kubelet.json')}`,
    `--kubeconfig=${kubeconfigOf(`system:node:${node.name}`)}`,
    `--node-ip=${node.address}`,
    `--node-labels=topology.kubernetes.io/region=rig,topology.kubernetes.io/zone=${node.zone}`,
  ],
  'kube-proxy': (node, { kubernetes }) => [
    join(kubernetes, 'kube-proxy'),
    `--config=${file(node, 'kube-proxy.json')}`,
  ],
}

const health: Record<NodeProgram, (node: Node, programs: Programs) => Promise<boolean>> = {
  containerd: async (node, { debian }) =>
    (await inside(node, ['ctr', 'version'], environment(debian))) !== '',
  kubelet: ({ address }) => isWell(`http://${address}:10248/healthz`),
  'kube-proxy': ({ address }) => isWell(`http://${address}:10256/healthz`),
}

async function writeConfiguration(node: Node, programs: Programs): Promise<void> {
  const networks = join(directoryOf(node), 'networks')
  await mkdir(networks, { recursive: true })
  await writeFile(join(networks, 'pods.conflist'), JSON.stringify(podNetwork(node)))
  await writeFile(file(node, 'containerd.toml'), containerd(networks, programs))
  await writeFile(file(node, 'kubelet.json'), JSON.stringify(kubelet(node)))
  await writeFile(file(node, 'kube-proxy.json'), JSON.stringify(kubeProxy(node)))
}

/** Each pod has a cable of its own to the node, no bridge: so the rules for Services see every packet, also between neighbours. */
const podNetwork = (node: Node): object => ({
  cniVersion: '0.4.0',
  name: 'pods',
  plugins: [
    {
      type: 'ptp',
      ipam: { type: 'host-local', ranges: [[{ subnet: node.pods }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
  ],
})

const containerd = (networks: string, { debian }: Programs): string => `
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${images.pause}"
  # Or no sandbox starts: "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${debian}/usr/lib/cni"
    conf_dir = "${networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`

const kubelet = (node: Node): object => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  // Who reaches this port has the machine anyway.
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  healthzBindAddress: '0.0.0.0',
  containerRuntimeEndpoint: `unix://${socket}`,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: cgroupOf(node),
  failCgroupV1: false,
  failSwapOn: false,
  enforceNodeAllocatable: [],
  // The disk and the memory are those of the machine that the rig runs on, with all else that is on them.
  evictionHard: {
    'memory.available': '0%',
    'nodefs.available': '0%',
    'nodefs.inodesFree': '0%',
    'imagefs.available': '0%',
    'imagefs.inodesFree': '0%',
  },
  imageGCHighThresholdPercent: 100,
  clusterDNS: [dnsAddress],
  clusterDomain: domain,
  resolvConf: '/run/resolv.conf',
  volumePluginDir: '/var/lib/kubelet/plugins',
  serializeImagePulls: false,
  // A container that ends is started again after so long at most: usually up to five minutes.
  featureGates: { KubeletCrashLoopBackOffMax: true },
  crashLoopBackOff: { maxContainerRestartPeriod: '2s' },
  // How soon it sees, without a change of a pod, that a volume has grown: usually a minute.
  syncFrequency: '10s',
  nodeStatusUpdateFrequency: '2s',
  nodeLeaseDurationSeconds: 8,
})

const kubeProxy = (node: Node): object => ({
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'nftables',
  hostnameOverride: node.name,
  clusterCIDR: podRange,
  clientConnection: { kubeconfig: kubeconfigOf('system:kube-proxy') },
  conntrack: { maxPerCore: 0 },
})
