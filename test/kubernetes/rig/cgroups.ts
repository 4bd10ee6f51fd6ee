// The machine's control groups that the nodes' pods are in, below one of the rig's own.
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Machine } from './layout.ts'

const root = '/sys/fs/cgroup'
const ours = 'stele-rig'

export const cgroupOf = ({ name }: Machine): string => `/${ours}/${name}`

/** The directories that have a tree of groups each: one with version 2, one for each controller with version 1. */
async function hierarchies(): Promise<string[]> {
  const unified = await access(join(root, 'cgroup.controllers')).then(
    () => true,
    () => false,
  )
  if (unified) return [root]
  return (await readdir(root)).map(name => join(root, name))
}

/** The groups of a node, with the controllers that the kubelet asks for. */
export async function addCgroups(machine: Machine): Promise<void> {
  for (const hierarchy of await hierarchies())
    for (const group of [join(hierarchy, ours), join(hierarchy, cgroupOf(machine))]) {
      await mkdir(group, { recursive: true })
      await passOn(join(group, '..'), group)
    }
}

/** What a group has to be given before processes can be in it, or in groups below. */
async function passOn(above: string, group: string): Promise<void> {
  for (const name of ['cpuset.cpus', 'cpuset.mems']) {
    const value = await readFile(join(above, name), 'utf8').catch(() => '')
    if (value.trim() !== '') await writeFile(join(group, name), value)
  }
  for (const directory of [above, group])
    await writeFile(join(directory, 'cgroup.subtree_control'), '+cpu +cpuset +memory +pids').catch(
      onlyVersion2,
    )
}

function onlyVersion2(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EACCES' && error.code !== 'ENOENT' && error.code !== 'EPERM') throw error
}

/** Removes all groups of the rig. Their processes must be gone. */
export async function removeCgroups(): Promise<void> {
  for (const hierarchy of await hierarchies()) await removeTree(join(hierarchy, ours))
}

async function removeTree(group: string): Promise<void> {
  const entries = await readdir(group, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(group, entry.name))
  if (entries.length > 0) await rmdir(group)
}
