// Enters: names of Debian packages. Leaves: a root directory with their files. Nothing is installed on the machine, so that no
// service starts and no package of its own has to go.
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run } from './commands.ts'

const wanted = [
  'busybox-static',
  'containerd',
  'containernetworking-plugins',
  'etcd-server',
  'nftables',
  'runc',
] as const

/** The root directory of `wanted` and of what they need that the machine has not. */
export const packages = (): Promise<string> =>
  cached('debian', async directory => {
    const archives = join(directory, 'archives')
    await mkdir(join(archives, 'partial'), { recursive: true })
    await run('apt-get', ['update', '-qq'])
    const options = ['--reinstall', '--download-only', '--no-install-recommends', '-o', `Dir::Cache::archives=${archives}`]
    await run('apt-get', ['install', '-y', '-qq', '-o', 'Debug::NoLocking=true', ...options, ...wanted])
    const files = await readdir(archives)
    for (const file of files.filter(name => name.endsWith('.deb')))
      await run('dpkg-deb', ['-x', join(archives, file), directory])
    await rm(archives, { recursive: true })
  })

/** What a program needs to be found, and its libraries: they are not where the machine looks. */
export function environment(root: string): Record<string, string> {
  const arch = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch as string] ?? ''
  const found = ['usr/sbin', 'usr/bin', 'sbin', 'bin'].map(name => join(root, name))
  return { PATH: [...found, process.env['PATH']].join(':'), LD_LIBRARY_PATH: join(root, 'usr/lib', arch) }
}
