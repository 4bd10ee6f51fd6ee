// Runs kubectl against the rig.
import { join } from 'node:path'
import { run } from './commands.ts'
import type { Programs } from './control-plane.ts'
import { kubeconfig } from './layout.ts'

export const kubectl = (programs: Programs, args: readonly string[], input?: string): Promise<string> =>
  run(
    join(programs.kubernetes, 'kubectl'),
    ['--kubeconfig', kubeconfig, ...args],
    input === undefined ? {} : { input },
  )
