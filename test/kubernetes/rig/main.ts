// The commands behind `make kubernetes`, `make kind` and those that take them down.
import process from 'node:process'
import { kindDown, kindUp } from './kind.ts'
import { kubeconfig } from './layout.ts'
import { lock } from './lock.ts'
import { down, up } from './rig.ts'

const commands: Record<string, () => Promise<void>> = {
  up: async () => {
    await up()
    console.log(`export KUBECONFIG=${kubeconfig}`)
  },
  down,
  kind: async () => console.log(`export KUBECONFIG=${await kindUp()}`),
  'kind-down': kindDown,
}

const command = commands[process.argv[2] ?? '']
if (command === undefined) throw new Error(`give one of: ${Object.keys(commands).join(', ')}`)
const release = await lock()
try {
  await command()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await release()
}
