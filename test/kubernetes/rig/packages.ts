// Enters: names of Debian packages. Leaves: a root directory with their files. Nothing is installed on the machine, so that no
// service starts and no package of its own has to go.
import { createHash } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run } from './commands.ts'

/** The root directory of the packages `wanted`, and of what they need that the machine has not. */
export function packages(wanted: readonly string[]): Promise<string> {
  const key = createHash('sha256').update(wanted.join(' ')).digest('hex').slice(0, 8)
  return cached(`debian-${key}`, async directory => {
    const archives = join(directory, 'archives')
    await mkdir(join(archives, 'partial'), { recursive: true })
    const options = [
      '--reinstall',
      '--download-only',
      '--no-install-recommends',
      '-o',
      `Dir::Cache::archives=${archives}`,
    ]
    await run('apt-get', ['update', '-qq'])
    await run('apt-get', ['install', '-y', '-qq', '-o', 'Debug::NoLocking=true', ...options, ...wanted])
    const files = await readdir(archives)
    for (const file of files.filter(name => name.endsWith('.deb')))
      await run('dpkg-deb', ['-x', join(archives, file), directory])
    await rm(archives, { recursive: true })
  })
}

/** What nodes and the control plane are made of, besides Kubernetes itself. */
export const parts = (): Promise<string> =>
  packages(['busybox-static', 'containerd', 'containernetworking-plugins', 'etcd-server', 'nftables', 'runc'])

/** What a program needs to be found, and its libraries: they are not where the machine looks. */
export function environment(root: string): Record<string, string> {
  const arch = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  const found = ['usr/sbin', 'usr/bin', 'sbin', 'bin'].map(name => join(root, name))
  return { PATH: [...found, process.env['PATH']].join(':'), LD_LIBRARY_PATH: join(root, 'usr/lib', arch) }
}
