// The commands behind `make kubernetes` and `make kubernetes-down`.
import process from 'node:process'
import { kubeconfig } from './layout.ts'
import { lock } from './lock.ts'
import { down, up } from './rig.ts'

const commands: Record<string, () => Promise<void>> = {
  up: async () => {
    await up()
    console.log(`export KUBECONFIG=${kubeconfig}`)
  },
  down,
}

const command = commands[process.argv[2] ?? '']
if (command === undefined) throw new Error(`give one of: ${Object.keys(commands).join(', ')}`)
if (process.getuid?.() !== 0) {
  console.error('the rig needs root: it makes network namespaces, mounts and control groups')
  process.exit(1)
}
const release = await lock()
try {
  await command()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await release()
}
