/** What people copy from docs/kubernetes.md: its YAML goes to the API server as it stands, in its order. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kubectl, Namespace } from './cluster.ts'
import { installOperator, removeOperator } from './operator.ts'

const namespace = new Namespace('stele-docs')
const page = await readFile(join(import.meta.dirname, '../../docs/kubernetes.md'), 'utf8')
const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = '']) => text)

beforeAll(async () => {
  await installOperator({ 'operator.replicas': 0 })
  await namespace.create()
})
afterAll(async () => {
  await namespace.remove()
  await removeOperator()
})

test('the page was read', () => {
  expect(blocks.length).toBeGreaterThanOrEqual(4)
  expect(page).not.toMatch(/^kubectl apply -f -/m)
})

test.each(blocks.map((text, index) => [index + 1, text] as const))('block %i is taken', async (_, text) => {
  const args = ['-n', namespace.name, 'apply', '--server-side', '--validate=strict', '-f', '-']
  expect(await kubectl(args, text)).toContain('serverside-applied')
})
