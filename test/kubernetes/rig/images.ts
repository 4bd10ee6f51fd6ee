// Enters: programs of this machine and of this checkout. Leaves: one archive with the images that nodes need, in OCI's layout.
// Nothing is pulled from anywhere: the names' registry does not exist.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, copyFile, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from './commands.ts'
import { addNode, addStele, entrypoint, nodeBinary, user } from '../../../image.ts'

const checkout = join(import.meta.dirname, '../../..')

export const images = {
  pause: 'rig.invalid/pause:1',
  coredns: 'rig.invalid/coredns:1',
  /** busybox, and Node. */
  tools: 'rig.invalid/tools:1',
  stele: 'rig.invalid/stele:1',
  /** The same under another name: something to upgrade to. */
  steleNext: 'rig.invalid/stele:2',
} as const

interface Layer {
  digest: string
  size: number
}

interface Image {
  layers: readonly Layer[]
  entrypoint: readonly string[]
  user?: string
}

/** The archive `<directory>/images.tar`, made of what the checkout holds now. */
export async function makeImages(
  directory: string,
  programs: { debian: string; coredns: string },
): Promise<string> {
  const layout = join(directory, 'images')
  await rm(layout, { recursive: true, force: true })
  await mkdir(join(layout, 'blobs/sha256'), { recursive: true })
  const layer = (fill: (root: string) => Promise<void>): Promise<Layer> => addLayer(layout, fill)
  const busybox = await layer(root => addBusybox(root, join(programs.debian, 'bin/busybox')))
  const coredns = await layer(root => addFile(programs.coredns, join(root, 'coredns')))
  const node = await layer(async root => addNode(root))
  await run(nodeBinary, ['build.ts'], { cwd: checkout })
  const stele = await layer(async root => addStele(root))
  const broker: Image = { layers: [node, stele], entrypoint, user }
  await writeIndex(layout, {
    [images.pause]: { layers: [busybox], entrypoint: ['/bin/tail', '-f', '/dev/null'] },
    [images.coredns]: { layers: [coredns], entrypoint: ['/coredns'] },
    [images.tools]: { layers: [busybox, node], entrypoint: ['/bin/tail', '-f', '/dev/null'] },
    [images.stele]: broker,
    [images.steleNext]: broker,
  })
  const archive = join(directory, 'images.tar')
  await run('tar', ['-C', layout, '-cf', archive, '.'])
  await rm(layout, { recursive: true })
  return archive
}

async function addFile(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  await copyFile(from, to)
  await chmod(to, 0o755)
}

async function addBusybox(root: string, busybox: string): Promise<void> {
  await addFile(busybox, join(root, 'bin/busybox'))
  const commands = (await run(busybox, ['--list']))
    .split('\n')
    .filter(name => name !== '' && name !== 'busybox')
  for (const command of commands) await symlink('busybox', join(root, 'bin', command))
}

/** Packs what `fill` puts into a directory. The same content is the same layer, whenever it is packed. */
async function addLayer(layout: string, fill: (root: string) => Promise<void>): Promise<Layer> {
  const root = join(layout, 'root')
  await mkdir(root)
  await fill(root)
  const file = join(layout, 'layer.tar')
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
  await run('tar', ['-C', root, ...same, '-cf', file, '.'])
  await rm(root, { recursive: true })
  const hash = createHash('sha256')
  let size = 0
  for await (const bytes of createReadStream(file, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    hash.update(bytes)
    size += bytes.length
  }
  const digest = hash.digest('hex')
  await rename(file, join(layout, 'blobs/sha256', digest))
  return { digest: `sha256:${digest}`, size }
}

/** OCI image layout 1.0.0: index.json -> a manifest an image -> its configuration and its layers, all by their digests. */
async function writeIndex(layout: string, all: Record<string, Image>): Promise<void> {
  const blob = async (mediaType: string, content: object): Promise<object> => {
    const text = JSON.stringify(content)
    const digest = createHash('sha256').update(text).digest('hex')
    await writeFile(join(layout, 'blobs/sha256', digest), text)
    return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(text) }
  }
  const manifests: object[] = []
  for (const [name, image] of Object.entries(all)) {
    const config = await blob('application/vnd.oci.image.config.v1+json', configuration(image))
    const layers = image.layers.map(layer => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      ...layer,
    }))
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const manifest = await blob(mediaType, { schemaVersion: 2, mediaType, config, layers })
    manifests.push({ ...manifest, annotations: { 'io.containerd.image.name': name } })
  }
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
}

const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64' }

const configuration = ({ layers, entrypoint, user }: Image): object => ({
  architecture: architectures[process.arch] ?? process.arch,
  os: 'linux',
  config: { Entrypoint: entrypoint, User: user ?? '', Env: ['PATH=/usr/bin:/bin'] },
  rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
})
