// Where everything of the rig is, and what it is made of: directories, addresses, versions. One rig to a machine.
import { homedir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

export const versions = {
  coredns: '1.13.1',
  go: '1.26.8',
  // Of the releases, the last one that is made with this version of Kubernetes.
  helm: '4.0.5',
  kind: '0.33.0',
  kubernetes: '1.34.4',
  prometheusOperator: '0.85.0',
} as const

const cacheHome = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')

/** What was built or fetched, kept from one rig to the next. */
export const cache = join(cacheHome, 'stele-rig')

/** What a rig that is up has on disk: ids of processes, logs, data. Gone when it is down. */
export const state = join(cache, 'up')

export const kubeconfig = join(state, 'kubeconfig')

/** The first bytes of the machines', the pods' and the services' addresses. */
const net = '10.213'
export const bridge = { name: 'stele-rig', address: `${net}.0.1`, bits: 24 }
export const podRange = '10.214.0.0/16'
export const serviceRange = '10.215.0.0/16'
export const dnsAddress = '10.215.0.10'
export const domain = 'cluster.local'

/** A machine is a set of namespaces with an address on the bridge. Nodes also have a range of pods' addresses. */
export interface Machine {
  name: string
  address: string
  pods?: string
}

export interface Node extends Machine {
  pods: string
  zone: string
}

export const controlPlane: Machine = { name: 'control-plane', address: `${net}.0.10` }

export const nodes: readonly Node[] = [1, 2, 3].map(n => ({
  name: `node-${n}`,
  address: `${net}.0.${10 + n}`,
  pods: `10.214.${n}.0/24`,
  zone: `zone-${n}`,
}))
