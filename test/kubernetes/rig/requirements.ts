// What the rig needs of the machine it runs on.
import process from 'node:process'
import { run } from './commands.ts'

const commands = ['apt-get', 'dpkg-deb', 'ionice', 'ip', 'ldd', 'nsenter', 'tar', 'unshare']

/** Throws with what is missing and how to get it. */
export async function checkMachine(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error('the rig needs root: it makes network namespaces, mounts and control groups')
  for (const command of commands)
    await run('sh', ['-c', `command -v ${command}`]).catch(() => {
      throw new Error(
        `the rig needs ${command}: apt-get install iproute2 util-linux tar libc-bin, on Debian or its kin`,
      )
    })
}
