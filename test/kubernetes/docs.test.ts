/** What people copy from docs/kubernetes.md: its YAML goes to the API server as it stands, and its first commands are run as they stand. */
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kubectl, kubectlProgram, Namespace } from './cluster.ts'
import { install, installOperator, removeOperator } from './operator.ts'
import { run } from './rig/commands.ts'

const namespace = new Namespace('stele-docs')
const checkout = join(import.meta.dirname, '../..')
const page = await readFile(join(checkout, 'docs/kubernetes.md'), 'utf8')

const blocksOf = (text: string, language: 'yaml' | 'sh'): string[] =>
  [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, named]) => named === language)
    .map(([, , code = '']) => code)

/** What stands under a heading. */
function section(title: string): string {
  const [, text] = page.split(`\n## ${title}\n`)
  expect(text, title).toBeDefined()
  return text?.split('\n## ')[0] ?? ''
}

let directory = ''

/** Runs a block in a directory with events.yaml, with kubectl and its plug-in on the path, in the namespace of this test. */
const execute = async (script: string): Promise<string> =>
  run('sh', ['-euc', script], {
    cwd: directory,
    env: {
      KUBECONFIG: join(directory, 'kubeconfig'),
      PATH: [directory, dirname(await kubectlProgram()), process.env['PATH']].join(':'),
    },
  })

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stele-docs-'))
  await symlink(join(checkout, 'bin/stele.mjs'), join(directory, 'kubectl-stele'))
  await installOperator({ 'operator.replicas': 0 })
  await namespace.create()
  const config = JSON.parse(await kubectl(['config', 'view', '--raw', '--minify', '-o', 'json'])) as {
    contexts: { context: object }[]
  }
  const contexts = config.contexts.map(each => ({
    ...each,
    context: { ...each.context, namespace: namespace.name },
  }))
  await writeFile(join(directory, 'kubeconfig'), JSON.stringify({ ...config, contexts }), { mode: 0o600 })
})
afterAll(async () => {
  await namespace.remove()
  await removeOperator()
  await rm(directory, { recursive: true })
})

const yaml = blocksOf(page, 'yaml')

test('the page was read', () => {
  expect(yaml.length).toBeGreaterThanOrEqual(4)
})

test.each(yaml.map((text, index) => [index + 1, text] as const))('YAML %i is taken', async (_, text) => {
  const args = [
    '-n',
    namespace.name,
    'apply',
    '--server-side',
    '--dry-run=server',
    '--validate=strict',
    '-f',
    '-',
  ]
  expect(await kubectl(args, text)).toContain('serverside-applied')
})

describe('with the operator', () => {
  beforeAll(async () => {
    await install()
    await writeFile(
      join(directory, 'events.yaml'),
      blocksOf(section('A first cluster'), 'yaml').join('---\n'),
    )
  })

  test('the first cluster comes up by the commands of the page', async () => {
    const [commands = ''] = blocksOf(section('A first cluster'), 'sh')
    const said = await execute(commands)
    expect(said).toContain('logcluster.stele.dev/events condition met')
    expect(said).toContain('logtopic.stele.dev/orders condition met')
    expect(said).toMatch(/events in stele-docs: /)
    expect(said).toMatch(/tablets +3 tablets, all in sync/)
  }, 400_000)

  test('records go in and come out by the commands of the page', async () => {
    const [commands = ''] = blocksOf(section('Produce and consume'), 'sh')
    const numbers = (await execute(commands))
      .split('\n')
      .filter(line => /^\d+$/.test(line))
      .map(Number)
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, n) => n + 1))
  })

  test('the commands that show what is wrong work', async () => {
    const commands = blocksOf(section('When something is wrong'), 'sh').join('')
    expect(await execute(commands)).toContain('events-broker-2-0')
  })
})
