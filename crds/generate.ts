// Enters: the schemas beside this file. Leaves: crds/*.yaml and the same files in the chart, by `node crds/generate.ts`.
// What always holds: nobody edits the YAML; a test fails when it is not what this makes.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { logClusterDefinition } from './log-cluster.ts'
import { logTopicDefinition } from './log-topic.ts'
import { tabletSliceDefinition } from './tablet-slice.ts'

const root = join(import.meta.dirname, '..')

const definitions: Readonly<Record<string, object>> = {
  logclusters: logClusterDefinition,
  logtopics: logTopicDefinition,
  tabletslices: tabletSliceDefinition,
}

/** What the files shall hold, by their paths from the project's root. */
export const generated = (): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(definitions).flatMap(([name, definition]) => {
      const yaml = `# Made by \`node crds/generate.ts\`.\n${stringify(definition, { lineWidth: 110, aliasDuplicateObjects: false })}`
      return ['crds', 'charts/stele/files/crds'].map((folder): [string, string] => [
        `${folder}/${name}.yaml`,
        yaml,
      ])
    }),
  )

if (import.meta.main)
  for (const [path, text] of generated()) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
