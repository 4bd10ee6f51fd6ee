import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { foreignBootstrap, isKafka } from '../broker.ts'
import { needs } from '../tools.ts'
import { needsInstalled } from './install.ts'
import { clientsPage } from './page.ts'

needs('kcat', 'java', 'mvn')
needsInstalled('confluent', 'python')

/** kcat is the system's; the others are pinned. */
const withAnyKcat = (page: string): string =>
  page
    .replace(/^(\| `kcat` +\|)[^|]+/m, '$1 any ')
    .replaceAll(/ {2,}/g, ' ')
    .replaceAll(/-{2,}/g, '--')

test.skipIf(isKafka || foreignBootstrap !== undefined)(
  'docs/clients.md is what the run of the wire tests found',
  async () => {
    const written = readFileSync(new URL('../../../docs/clients.md', import.meta.url), 'utf8')
    const found = await clientsPage()
    expect(found).not.toContain('**')
    const told = 'run: node test/wire/clients/page.ts > docs/clients.md'
    expect(withAnyKcat(written), told).toBe(withAnyKcat(found))
  },
)
