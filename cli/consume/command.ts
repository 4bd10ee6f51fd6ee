import { Command, Option } from 'commander'
import { examples, wholeNumber, withServer } from '../options.ts'
import { parsePosition, type Position } from './position.ts'

/** `stele consume`: what can be said; `consume.ts` does it. */
export function consumeCommand(): Command {
  return withServer(new Command('consume'))
    .description("write a topic's records to standard output, a value a line")
    .argument('<topic>')
    .addOption(
      new Option(
        '-f, --from <where>',
        'beginning, end, an offset, or a time: 2026-01-31T08:00Z or ms@1769846400000',
      )
        .argParser(parsePosition)
        .default({ kind: 'beginning' } satisfies Position, 'beginning'),
    )
    .option('-p, --partition <n>', 'only this partition instead of all in turn', wholeNumber(0))
    .option('-F, --follow', 'go on with new records until Ctrl-C')
    .option('-n, --max <n>', 'end after so many records', wholeNumber(1))
    .addOption(
      new Option('-K, --key-separator <text>', 'print each key and this text before the value').conflicts(
        'json',
      ),
    )
    .option('--json', 'print whole records, a line of JSON each')
    .addHelpText(
      'after',
      examples(
        'stele consume greetings',
        'stele consume greetings --follow --from end',
        'stele consume orders --partition 0 --from 4711 --max 10 --json',
        'stele consume access --from 2026-01-31T08:00Z | grep " 500 "',
      ),
    )
    .action(async (topic, options) => (await import('./consume.ts')).consume(topic, options))
}
