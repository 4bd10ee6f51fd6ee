import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { settingsPage } from './write-docs.ts'

test('docs/settings.md is what the table says', () => {
  const page = readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8')
  expect(page, 'run: node broker/settings/write-docs.ts > docs/settings.md').toBe(settingsPage())
})
