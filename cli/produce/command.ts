import { Command, Option } from 'commander'
import { examples, pair, wholeNumber, withServer } from '../options.ts'

/** `stele produce`: what can be said; `produce.ts` does it. */
export function produceCommand(): Command {
  return withServer(new Command('produce'))
    .description('write standard input to a topic, a record a line')
    .argument('<topic>')
    .addOption(new Option('-k, --key <key>', 'the key of every record').conflicts('keySeparator'))
    .option('-K, --key-separator <text>', 'what parts key and value in a line; a line without it has no key')
    .option('-H, --header <name=value>', 'a header of every record; may be repeated', pair)
    .option('-p, --partition <n>', 'write to this partition instead of one chosen by key', wholeNumber(0))
    .addOption(
      new Option('--acks <acks>', 'who must have a record: every replica in sync, the leader, nobody')
        .choices(['all', '-1', '1', '0'])
        .default('all'),
    )
    .option('--json', "print each record's partition and offset as a line of JSON, in order")
    .addHelpText(
      'after',
      examples(
        'echo hello | stele produce greetings',
        'stele produce access < access.log',
        "printf 'oslo:1\\nlima:2\\n' | stele produce scores --key-separator :",
        'stele produce orders --key 17 --header source=shell < order.json',
      ),
    )
    .action(async (topic, options) => (await import('./produce.ts')).produce(topic, options))
}
