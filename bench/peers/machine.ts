/** What a comparison ran on, to be said beside its figures. */
import { cpus, release, totalmem, tmpdir } from 'node:os'
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

export function machine(): Record<string, string> {
  const all = cpus()
  return {
    processors: `${all.length} × ${all[0]?.model.trim()}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${release()}`,
    'file system': fileSystemOf(tmpdir()),
  }
}

function fileSystemOf(directory: string): string {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' '))
    .map(([, place = '', type = '']) => ({ place, type }))
    .filter(({ place }) => place !== '' && !relative(place, directory).startsWith('..'))
    .toSorted((a, b) => b.place.length - a.place.length)
  return mounts[0]?.type ?? 'unknown'
}
