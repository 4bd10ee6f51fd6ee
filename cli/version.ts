import { Command } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { examples } from './options.ts'
import { write, writeJson } from './output.ts'

export const versionText = (): string => manifest.version

export function versionCommand(): Command {
  return new Command('version')
    .description('print the version and what it runs on')
    .option('--json', 'print it as JSON')
    .addHelpText('after', examples('stele version', 'stele version --json | jq -r .version'))
    .action((options: { json?: true }) => {
      const facts = {
        version: versionText(),
        node: process.versions.node,
        platform: process.platform,
        arch: process.arch,
      }
      if (options.json) return writeJson(facts)
      return write(`stele ${facts.version} (Node ${facts.node}, ${facts.platform} ${facts.arch})\n`)
    })
}
