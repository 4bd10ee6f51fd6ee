// Volumes that belong to a node, as disks do: a claim is bound when its pod is placed, and its pod stays on that node.
// Nobody makes more of them, and nobody grows them.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Programs } from './control-plane.ts'
import { kubectl } from './kubectl.ts'
import { nodes, type Node } from './layout.ts'
import { directoryOf } from './machine.ts'

const volumesOfANode = 12

const storageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
}

interface Volume {
  node: Node
  name: string
}

const volumes: readonly Volume[] = nodes.flatMap(node =>
  Array.from({ length: volumesOfANode }, (_, n) => ({ node, name: `${node.name}-disk-${n + 1}` })),
)

/** Where the host sees what is in a volume. */
export const directoryOfVolume = ({ node, name }: Volume): string =>
  join(directoryOf(node), 'lib/volumes', name)

const persistentVolume = ({ node, name }: Volume): object => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name },
  spec: {
    capacity: { storage: '10Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: storageClass.metadata.name,
    local: { path: `/var/lib/volumes/${name}` },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node.name] }] },
        ],
      },
    },
  },
})

export async function addVolumes(programs: Programs): Promise<void> {
  for (const volume of volumes) await mkdir(directoryOfVolume(volume), { recursive: true })
  await apply(programs, [storageClass, ...volumes.map(persistentVolume)])
}

/** Empties the volumes whose claim is gone, and makes them available again. */
export async function recycleVolumes(programs: Programs): Promise<void> {
  const found = JSON.parse(await kubectl(programs, ['get', 'persistentvolumes', '-o', 'json'])) as {
    items: { metadata: { name: string }; status: { phase: string } }[]
  }
  const released = found.items
    .filter(({ status }) => status.phase === 'Released')
    .map(({ metadata }) => metadata.name)
  const again = volumes.filter(({ name }) => released.includes(name))
  if (again.length === 0) return
  await kubectl(programs, ['delete', 'persistentvolumes', ...again.map(({ name }) => name)])
  for (const volume of again) {
    await rm(directoryOfVolume(volume), { recursive: true })
    await mkdir(directoryOfVolume(volume))
  }
  await apply(programs, again.map(persistentVolume))
}

const apply = (programs: Programs, items: object[]): Promise<string> =>
  kubectl(programs, ['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
