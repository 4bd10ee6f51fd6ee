/**
 * Clients that are in no package of this project and of no Debian package either: from PyPI, and Confluent's for
 * JavaScript, built from source. Enters: nothing but the pinned versions beside this file. Leaves: how to run a program
 * that uses them. Always holds: a folder in the checkout's cache is complete, and belongs to the machine's own Node or Python.
 */
import { createHash } from 'node:crypto'
import { access, copyFile, mkdir, mkdtemp, readFile, realpath, rename, rm } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { availableParallelism } from 'node:os'
import { beforeAll } from 'vitest'
import { installed, succeed } from '../processes.ts'

export type Runtime = {
  readonly command: string
  readonly environment: Record<string, string>
}

const cache = resolve(import.meta.dirname, '../../../.cache/clients')
const pinned = (name: string): string => join(import.meta.dirname, name)
const patience = { limitMs: 15 * 60_000 }

/** Node as the machine has it: the one that this project brings along comes without headers to build against. */
const machinePath = (): string =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter(folder => !folder.includes('node_modules'))
    .join(delimiter)

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const printed = async (command: string, ...args: string[]): Promise<string> => {
  const { stdout } = await succeed(command, args, { environment: { PATH: machinePath() } })
  return stdout.toString().trim()
}

/** The folder that `make` fills: it is made in another place and gets its name when it is complete. */
async function folderOf(
  name: string,
  madeFrom: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify(madeFrom)).digest('hex').slice(0, 16)
  const folder = join(cache, `${name}-${key}`)
  if (await exists(folder)) return folder
  await mkdir(cache, { recursive: true })
  const beside = await mkdtemp(`${folder}.`)
  try {
    await make(beside)
    await rename(beside, folder).catch(async (error: unknown) => {
      // Somebody else was faster; theirs is as good.
      if (!(await exists(folder))) throw error
    })
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
  return folder
}

async function installPython(): Promise<Runtime> {
  if (!installed('python3')) throw new Error('python3 is not installed (apt-get install python3 python3-pip)')
  const version = await printed('python3', '-c', 'import sys; print(sys.executable, sys.version)')
  const requirements = await readFile(pinned('requirements.txt'), 'utf8')
  const folder = await folderOf('python', [version, requirements], async folder => {
    const quietly = ['--quiet', '--disable-pip-version-check', '--no-compile', '--only-binary', ':all:']
    const what = ['--requirement', pinned('requirements.txt'), '--target', folder]
    await succeed('python3', ['-m', 'pip', 'install', ...quietly, ...what], patience)
  })
  return { command: 'python3', environment: { PYTHONPATH: folder, PYTHONUNBUFFERED: '1' } }
}

const inFolder = (folder: string): string => join(folder, 'node_modules/@confluentinc/kafka-javascript')

async function installConfluent(): Promise<Runtime> {
  const node = await realpath(await printed('node', '-p', 'process.execPath'))
  const prefix = dirname(dirname(node))
  if (!(await exists(join(prefix, 'include/node/node.h')))) {
    throw new Error(`${node} has no headers to build against: ${prefix}/include/node/node.h is missing`)
  }
  const lock = await readFile(pinned('package-lock.json'), 'utf8')
  const folder = await folderOf('node', [node, await printed('node', '-v'), lock], async folder => {
    for (const name of ['package.json', 'package-lock.json']) await copyFile(pinned(name), join(folder, name))
    const inPlace = { ...patience, directory: folder, environment: { PATH: machinePath() } }
    await succeed('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], inPlace)
    await buildLibrdkafka(folder)
    await buildAddon(folder, prefix)
  })
  const environment = { NODE_PATH: join(folder, 'node_modules'), LD_LIBRARY_PATH: join(folder, 'lib') }
  const runtime = { command: node, environment }
  return runtime
}

/** From the package's own copy; its own build would download what this leaves out. */
async function buildLibrdkafka(folder: string): Promise<void> {
  const directory = join(inFolder(folder), 'deps/librdkafka')
  const without = ['--disable-ssl', '--disable-gssapi', '--disable-curl', '--disable-lz4-ext']
  await succeed('./configure', [`--prefix=${folder}`, '--enable-zlib', '--enable-zstd', ...without], {
    ...patience,
    directory,
  })
  const settings = await readFile(join(directory, 'config.h'), 'utf8')
  for (const [define, hint] of [
    ['WITH_ZLIB', 'zlib1g-dev'],
    ['WITH_ZSTD', 'libzstd-dev'],
  ]) {
    if (!settings.includes(`#define ${define} 1`)) throw new Error(`librdkafka needs apt-get install ${hint}`)
  }
  await succeed('make', [`-j${availableParallelism()}`, 'libs'], { ...patience, directory })
  await succeed('make', ['install-subdirs'], { ...patience, directory })
}

async function buildAddon(folder: string, prefix: string): Promise<void> {
  const environment = {
    PATH: machinePath(),
    BUILD_LIBRDKAFKA: '0',
    CXXFLAGS: `-w -I${join(folder, 'include')} -I${join(folder, 'include/librdkafka')}`,
    LDFLAGS: `-L${join(folder, 'lib')}`,
    JOBS: String(availableParallelism()),
    npm_config_nodedir: prefix,
    npm_config_build_from_source: 'true',
  }
  const rebuild = ['rebuild', '@confluentinc/kafka-javascript', '--foreground-scripts']
  await succeed('npm', rebuild, { ...patience, directory: folder, environment })
}

const ways = { python: installPython, confluent: installConfluent } as const
const asked = new Map<keyof typeof ways, Promise<Runtime>>()

/** How to run a program that uses these clients. The first time on a machine it takes a minute or two; then no time. */
export function runtimeOf(clients: keyof typeof ways): Promise<Runtime> {
  const known = asked.get(clients) ?? ways[clients]()
  asked.set(clients, known)
  return known
}

/** Declares what the tests of this file start. What cannot be installed is a failure, not a skip. */
export function needsInstalled(...clients: (keyof typeof ways)[]): void {
  beforeAll(async () => {
    for (const one of clients) await runtimeOf(one)
  }, 20 * 60_000)
}
