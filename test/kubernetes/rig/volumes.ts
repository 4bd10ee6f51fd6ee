// Volumes that belong to a node, as disks do: a claim is bound when its pod is placed, and its pod stays on that node. Those of class `local` are
// directories: many, and as large as the disk. Those of class `bounded` are file systems of their own, one a node, that can be full and can grow.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Programs } from './control-plane.ts'
import { kubectl } from './kubectl.ts'
import { nodes, type Node } from './layout.ts'
import { directoryOf, inside } from './machine.ts'
import { quantityOf } from '../../../operator/resources/quantity.ts'

const localVolumesOfANode = 12

interface Volume {
  node: Node
  name: string
  storageClass: 'local' | 'bounded'
  size: string
}

const volumes: readonly Volume[] = nodes.flatMap(node => [
  ...Array.from({ length: localVolumesOfANode }, (_, n): Volume => {
    return { node, name: `${node.name}-disk-${n + 1}`, storageClass: 'local', size: '10Gi' }
  }),
  { node, name: `${node.name}-bounded`, storageClass: 'bounded', size: '32Mi' },
])

const storageClass = (name: Volume['storageClass'], more: object): object => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: {
    name,
    annotations: { 'storageclass.kubernetes.io/is-default-class': String(name === 'local') },
  },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
  ...more,
})

/** Where the host sees what is in a volume of class `local`. */
const directoryOfVolume = ({ node, name }: Volume): string => join(directoryOf(node), 'lib/volumes', name)

/** The same, by the name of its PersistentVolume. */
export function directoryOfNamed(name: string): string {
  const volume = volumes.find(one => one.name === name)
  if (volume === undefined) throw new Error(`the rig has no volume ${name}`)
  return directoryOfVolume(volume)
}

/** Where the node has it. */
const pathOf = ({ name }: Volume): string => `/var/lib/volumes/${name}`

const persistentVolume = (volume: Volume): object => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: volume.name },
  spec: {
    capacity: { storage: volume.size },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: volume.storageClass,
    local: { path: pathOf(volume) },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          {
            matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [volume.node.name] }],
          },
        ],
      },
    },
  },
})

export async function addVolumes(programs: Programs): Promise<void> {
  const classes = [storageClass('local', {}), storageClass('bounded', { allowVolumeExpansion: true })]
  await apply(programs, [...classes, ...volumes.map(persistentVolume)])
}

/** What a node that boots does with its disks. The bounded one is in memory, and so comes back empty. */
export async function mountVolumes(node: Node): Promise<void> {
  for (const volume of volumes.filter(one => one.node === node)) {
    await mkdir(directoryOfVolume(volume), { recursive: true })
    if (volume.storageClass === 'bounded') await mount(volume)
  }
}

const mount = (volume: Volume): Promise<string> =>
  inside(volume.node, ['mount', '-t', 'tmpfs', '-o', sizeOption(volume.size), 'tmpfs', pathOf(volume)])

const sizeOption = (size: string): string => `size=${quantityOf(size)},mode=755`

/** Empties the volumes whose claim is gone, and makes them available again. */
export async function recycleVolumes(programs: Programs): Promise<void> {
  const found = await list<{ metadata: { name: string }; status: { phase: string } }>(
    programs,
    'persistentvolumes',
  )
  const released = found
    .filter(({ status }) => status.phase === 'Released')
    .map(({ metadata }) => metadata.name)
  const again = volumes.filter(({ name }) => released.includes(name))
  if (again.length === 0) return
  await kubectl(programs, ['delete', 'persistentvolumes', ...again.map(({ name }) => name)])
  for (const volume of again) await empty(volume)
  await apply(programs, again.map(persistentVolume))
}

async function empty(volume: Volume): Promise<void> {
  if (volume.storageClass === 'bounded') {
    await inside(volume.node, ['umount', pathOf(volume)])
    await mount(volume)
    return
  }
  await rm(directoryOfVolume(volume), { recursive: true })
  await mkdir(directoryOfVolume(volume))
}

interface Claim {
  metadata: { namespace: string; name: string }
  spec: { volumeName?: string; resources: { requests: { storage: string } } }
  status: { capacity?: { storage: string }; allocatedResourceStatuses?: object }
}

/**
 * Grows the bounded volumes whose claims ask for it, as a driver's resizer does: the file system first, then the PersistentVolume, then it
 * tells the kubelet in the claim's status, which ends it by itself once a pod uses the volume.
 */
export async function growVolumes(programs: Programs): Promise<void> {
  for (const claim of await list<Claim>(programs, 'persistentvolumeclaims')) {
    const volume = volumes.find(
      ({ name, storageClass }) => storageClass === 'bounded' && name === claim.spec.volumeName,
    )
    const { storage } = claim.spec.resources.requests
    const [asked = 0, has = 0] = [quantityOf(storage), quantityOf(claim.status.capacity?.storage ?? '0')]
    if (volume !== undefined && asked > has && claim.status.allocatedResourceStatuses === undefined)
      await grow(programs, volume, claim)
  }
}

async function grow(programs: Programs, volume: Volume, { metadata, spec }: Claim): Promise<void> {
  const { storage } = spec.resources.requests
  await inside(volume.node, ['mount', '-o', `remount,${sizeOption(storage)}`, pathOf(volume)])
  const patch = (args: readonly string[], change: object): Promise<string> =>
    kubectl(programs, ['patch', ...args, '--type=merge', '-p', JSON.stringify(change)])
  await patch(['persistentvolume', volume.name], { spec: { capacity: { storage } } })
  await patch(['-n', metadata.namespace, 'persistentvolumeclaim', metadata.name, '--subresource=status'], {
    status: {
      allocatedResources: { storage },
      allocatedResourceStatuses: { storage: 'NodeResizePending' },
      conditions: [{ type: 'FileSystemResizePending', status: 'True' }],
    },
  })
}

const list = async <Item>(programs: Programs, kind: string): Promise<Item[]> =>
  (JSON.parse(await kubectl(programs, ['get', kind, '-A', '-o', 'json'])) as { items: Item[] }).items

const apply = (programs: Programs, items: object[]): Promise<string> =>
  kubectl(programs, ['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
