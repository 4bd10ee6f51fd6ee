import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { generated } from './generate.ts'
import { logCluster } from './log-cluster.ts'
import { logTopic } from './log-topic.ts'
import { tabletSlice } from './tablet-slice.ts'

const root = join(import.meta.dirname, '..')

test.each([...generated()])('%s is what the schemas make', (path, text) => {
  expect(readFileSync(join(root, path), 'utf8'), 'run `node crds/generate.ts`').toBe(text)
})

test.each(['crds', 'charts/stele/files/crds'])('%s holds no other YAML', folder => {
  const files = readdirSync(join(root, folder)).filter(name => name.endsWith('.yaml'))
  expect(files.map(name => `${folder}/${name}`).toSorted()).toEqual(
    [...generated().keys()].filter(path => path.startsWith(`${folder}/`)).toSorted(),
  )
})

test('every field says what it is', () => {
  const silent: string[] = []
  const look = (path: string, schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return
    for (const [name, field] of Object.entries((schema as { properties?: object }).properties ?? {})) {
      if (!(field as { description?: string }).description?.endsWith('.')) silent.push(`${path}.${name}`)
      look(`${path}.${name}`, field)
    }
    look(`${path}[]`, (schema as { items?: object }).items)
  }
  for (const [kind, { openapi }] of Object.entries({ logCluster, logTopic, tabletSlice })) look(kind, openapi)
  expect(silent).toEqual([])
})
