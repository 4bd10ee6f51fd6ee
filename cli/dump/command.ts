import { Command } from 'commander'
import { examples } from '../options.ts'

/** `stele dump`: what can be said; `dump.ts` does it. */
export function dumpCommand(): Command {
  return new Command('dump')
    .description('show and check a file of a log on disk: .log, .index, .timeindex or .snapshot')
    .argument('<file>', 'it may belong to a broker that runs, or to Kafka')
    .option('-r, --records', 'also the records in each batch of a .log file')
    .option('--json', 'print a line of JSON for each batch or entry')
    .addHelpText(
      'after',
      examples(
        'stele dump data/tablets/orders-0.*/00000000000000000000.log',
        "stele dump 00000000000000000000.log --records --json | jq '.records[].value'",
        'stele dump 00000000000000000000.index',
      ) + '\nThe exit code is 1 when damage is found.\n',
    )
    .action(async (file, options) => (await import('./dump.ts')).dump(file, options))
}
