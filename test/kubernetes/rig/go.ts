// Runs Go of one pinned version. It comes from the module proxy too, fetched by whatever Go there is: the machine's, else Debian's.
import { chmod, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { run, runInBackground } from './commands.ts'
import { versions } from './layout.ts'
import { packages } from './packages.ts'

const debianVersion = '1.19'

// Static programs run in any root. With trimmed paths the same sources are not built again elsewhere. Without what debuggers
// read, compiling takes a sixth less.
const buildEnvironment = {
  CGO_ENABLED: '0',
  GOFLAGS: '-trimpath -mod=mod -gcflags=all=-dwarf=false',
  GOWORK: 'off',
  GOTOOLCHAIN: 'local',
}

/** Runs `go` in `directory`, behind all else on the machine. */
export async function go(
  args: readonly string[],
  directory: string,
  env: Record<string, string> = {},
): Promise<string> {
  const root = join(await toolchain(), 'root')
  const options = { cwd: directory, env: { ...buildEnvironment, GOROOT: root, ...env } }
  return runInBackground(join(root, 'bin/go'), args, options)
}

const toolchain = (): Promise<string> =>
  cached(`go-${versions.go}`, async directory => {
    const arch = process.arch === 'arm64' ? 'arm64' : 'amd64'
    const module = `golang.org/toolchain@v0.0.1-go${versions.go}.linux-${arch}`
    const { program, env } = await anyGo()
    const answer = await run(program, ['mod', 'download', '-json', module], { cwd: directory, env })
    const { Dir: root } = JSON.parse(answer) as { Dir: string }
    // Modules hold no modes: what is a program is to be said again.
    for (const folder of ['bin', `pkg/tool/linux_${arch}`])
      for (const file of await readdir(join(root, folder))) await chmod(join(root, folder, file), 0o755)
    await symlink(root, join(directory, 'root'))
  })

async function anyGo(): Promise<{ program: string; env: Record<string, string> }> {
  const found = await run('go', ['version']).then(
    () => true,
    () => false,
  )
  if (found) return { program: 'go', env: {} }
  const root = join(await packages(['golang-go']), 'usr/lib', `go-${debianVersion}`)
  return { program: join(root, 'bin/go'), env: { GOROOT: root } }
}
