// A machine made of namespaces: its own processes, mounts, name and network, with one address on the bridge.
// Enters: programs to run. Leaves: their logs and ids, in a directory of the machine.
// Always holds: when its first process is killed the kernel ends all its others and takes back its mounts and addresses.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './commands.ts'
import { bridge, controlPlane, nodes, state, type Machine } from './layout.ts'
import { childOf, kill, record, recorded } from './processes.ts'
import { until } from './until.ts'

const all: readonly Machine[] = [controlPlane, ...nodes]

export const directoryOf = (machine: Machine): string => join(state, machine.name)
const firstProcess = (machine: Machine): string => join(directoryOf(machine), 'machine.pid')
const pidFile = (machine: Machine, program: string): string => join(directoryOf(machine), `${program}.pid`)
const logFile = (machine: Machine, program: string): string => join(directoryOf(machine), `${program}.log`)
/** The host's end of the machine's cable. */
const cable = (machine: Machine): string => `rig-${machine.name}`.slice(0, 15)

/** The first process of a machine takes in orphans, as the kernel asks of it, and does nothing else. */
const idle = 'echo ready; exec >/dev/null; sleep infinity & wait'
const namespaces = ['--mount', '--pid', '--net', '--uts', '--ipc']

/** Makes the machine. What programs keep in /var/lib, /var/log and /run is its own; all else of the file system is the host's. */
export async function make(machine: Machine): Promise<void> {
  const directory = directoryOf(machine)
  for (const part of ['lib', 'log']) await mkdir(join(directory, part), { recursive: true })
  const args = [...namespaces, '--fork', '--kill-child', 'sh', '-c', idle]
  const log = await open(logFile(machine, 'machine'), 'a')
  const child = spawn('unshare', args, { detached: true, stdio: ['ignore', 'pipe', log.fd] })
  await log.close()
  if (child.pid === undefined || child.stdout === null) throw new Error('unshare did not start')
  await once(child.stdout, 'data')
  child.stdout.destroy()
  child.unref()
  await record(firstProcess(machine), await childOf(child.pid))
  await plugIn(machine)
  const routes = all
    .filter(other => other.pods !== undefined && other !== machine)
    .map(other => `ip route add ${other.pods} via ${other.address}`)
  await inside(machine, ['sh', '-euc', [...mounts(directory), ...network(machine), ...routes].join('\n')])
}

const mounts = (directory: string): string[] => [
  'mount -t proc proc /proc',
  'mount -t tmpfs tmpfs /run',
  `mount --bind ${directory}/lib /var/lib`,
  `mount --bind ${directory}/log /var/log`,
  // The host's name servers cannot be reached from here, and pods that ask for the node's would wait for them.
  ': > /run/resolv.conf',
  'mount --make-rshared /',
]

const network = ({ name, address }: Machine): string[] => [
  `hostname ${name}`,
  'ip link set lo up',
  'ip link set eth0 up',
  `ip address add ${address}/${bridge.bits} dev eth0`,
  `ip route add default via ${bridge.address}`,
  'echo 1 > /proc/sys/net/ipv4/ip_forward',
]

async function plugIn(machine: Machine): Promise<void> {
  const pid = await recorded(firstProcess(machine))
  await run('ip', [
    'link',
    'add',
    cable(machine),
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    String(pid),
  ])
  await run('ip', ['link', 'set', cable(machine), 'master', bridge.name, 'up'])
}

/** Pulls the machine's cable, or puts it back. Its pods are cut off with it; its processes go on. */
export const connected = (machine: Machine, up: boolean): Promise<string> =>
  run('ip', ['link', 'set', cable(machine), up ? 'up' : 'down'])

async function enter(machine: Machine): Promise<string[]> {
  const pid = await recorded(firstProcess(machine))
  if (pid === undefined) throw new Error(`${machine.name} is not up`)
  return ['-t', String(pid), ...namespaces, '--']
}

/** Runs a command on the machine, to its end. */
export const inside = async (
  machine: Machine,
  command: readonly string[],
  env: Record<string, string> = {},
): Promise<string> => run('nsenter', [...(await enter(machine)), ...command], { env })

/** Starts `program` on the machine, where it goes on alone. */
export async function start(
  machine: Machine,
  program: string,
  command: readonly string[],
  env: Record<string, string>,
): Promise<void> {
  const log = await open(logFile(machine, program), 'a')
  const stdio = ['ignore', log.fd, log.fd] as const
  const options = { detached: true, stdio: [...stdio], env: { ...process.env, ...env } }
  const child = spawn('nsenter', [...(await enter(machine)), ...command], options)
  child.unref()
  await log.close()
  if (child.pid === undefined) throw new Error(`${program} did not start`)
  const pid = await childOf(child.pid).catch(async () => {
    throw new Error(`${program} on ${machine.name} ended at once\n${await tail(machine, program)}`)
  })
  await record(pidFile(machine, program), pid)
}

/** Kills `program`, as its crash would. */
export const crash = (machine: Machine, program: string): Promise<void> => kill(pidFile(machine, program))

/** Waits until `holds`. When `program` ends before, or it takes too long, the error ends with the tail of its log. */
export const ready = (machine: Machine, program: string, holds: () => Promise<boolean>): Promise<void> =>
  until(`${program} on ${machine.name}`, holds, {
    limitMs: 120_000,
    lost: async () => (await recorded(pidFile(machine, program))) === undefined,
    explain: () => tail(machine, program),
  })

async function tail(machine: Machine, program: string): Promise<string> {
  const file = logFile(machine, program)
  const log = await readFile(file, 'utf8').catch(() => '')
  return `${log.trimEnd().split('\n').slice(-30).join('\n')}\nThe whole log: ${file}`
}

/**
 * Ends the machine and everything on it. The kernel would take the cable back when the last connection of the killed programs
 * has timed out, which takes minutes when nobody answers any more.
 */
export async function remove(machine: Machine): Promise<void> {
  await kill(firstProcess(machine))
  await until(`${cable(machine)} to be gone`, async () => {
    if (!(await run('ip', ['-o', 'link'])).includes(` ${cable(machine)}@`)) return true
    await run('ip', ['link', 'delete', cable(machine)])
    return false
  })
}
