// The bridge that joins the machines, with an address for the host, so that the host reaches nodes and pods.
import { run } from './commands.ts'
import { bridge, nodes } from './layout.ts'

export async function addBridge(): Promise<void> {
  await run('ip', ['link', 'add', bridge.name, 'type', 'bridge'])
  await run('ip', ['address', 'add', `${bridge.address}/${bridge.bits}`, 'dev', bridge.name])
  await run('ip', ['link', 'set', bridge.name, 'up'])
  for (const { address, pods } of nodes) await run('ip', ['route', 'add', pods, 'via', address])
}

/** The cables that hang on it go when their machines do; the routes go with it. */
export async function removeBridge(): Promise<void> {
  const links = await run('ip', ['-o', 'link', 'show'])
  if (links.includes(` ${bridge.name}: `)) await run('ip', ['link', 'delete', bridge.name])
}
