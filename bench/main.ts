// A quick slice of every bench, in less than three minutes.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const slices: readonly (readonly [file: string, ...options: string[]])[] = [
  ['produce.ts', '--rounds=1', '--seconds=0.5'],
  ['fetch.ts', '--rounds=1', '--seconds=0.5'],
  ['http.ts', '--rounds=1'],
  ['memory.ts', '--seconds=5'],
  ['recovery.ts', '--rounds=1'],
  ['groups.ts', '50', '5', '100000'],
  ['compaction.ts', '--records=300000'],
  ['codec.ts'],
]

for (const [file, ...options] of slices) {
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, file), ...options], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
}
