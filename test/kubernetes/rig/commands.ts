// Runs programs to their end. A failure says what was run and ends with what the program wrote.
import { spawn } from 'node:child_process'
import process from 'node:process'

interface Options {
  cwd?: string
  env?: Record<string, string>
  input?: string
}

/** What `program` wrote to its standard output. Throws with the tail of all it wrote when it does not end with 0. */
export async function run(program: string, args: readonly string[], options: Options = {}): Promise<string> {
  const child = spawn(program, args, { cwd: options.cwd, env: { ...process.env, ...options.env } })
  const [out, all]: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (bytes: Buffer) => {
    out.push(bytes)
    all.push(bytes)
  })
  child.stderr.on('data', (bytes: Buffer) => all.push(bytes))
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  if (code === 0) return Buffer.concat(out).toString()
  const tail = Buffer.concat(all).toString().trimEnd().split('\n').slice(-40).join('\n')
  throw new Error(`\`${program} ${args.join(' ')}\` ended with ${code}:\n${tail}`)
}

/** `run` for what takes long: others on the machine go first. */
export const runInBackground = (
  program: string,
  args: readonly string[],
  options?: Options,
): Promise<string> => run('nice', ['-n', '15', 'ionice', '-c3', program, ...args], options)
