import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { differencesPage } from '../wire/answers/write-docs.ts'

test('docs/kafka-differences.md is what the list says', () => {
  const page = readFileSync(new URL('../../docs/kafka-differences.md', import.meta.url), 'utf8')
  expect(page, 'run: node test/wire/answers/write-docs.ts > docs/kafka-differences.md').toBe(
    differencesPage(),
  )
})
