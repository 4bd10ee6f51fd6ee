import { Command } from 'commander'
import { examples, severalNumbers, signedNumber, wholeNumber, withServer } from '../options.ts'

/** `stele group …`: what can be said; `group.ts` does it. */
export function groupCommand(): Command {
  return new Command('group')
    .description('look at consumer groups, move them, delete them')
    .addHelpText('after', examples('stele group list', 'stele group describe billing'))
    .addCommand(list())
    .addCommand(describe())
    .addCommand(reset())
    .addCommand(remove())
}

const list = () =>
  withServer(new Command('list'))
    .description('list the groups and how far they are behind')
    .option('--json', 'print them as a JSON array')
    .addHelpText(
      'after',
      examples('stele group list', "stele group list --json | jq '.[] | select(.lag > 1000)'"),
    )
    .action(async options => (await import('./group.ts')).listGroups(options))

const describe = () =>
  withServer(new Command('describe'))
    .description("show a group's members, its offsets and how far it is behind")
    .argument('<name>')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      examples('stele group describe billing', "stele group describe billing --json | jq '.offsets[].lag'"),
    )
    .action(async (name, options) => (await import('./group.ts')).describeGroup(name, options))

const reset = () =>
  withServer(new Command('reset'))
    .description(
      'move a group to other offsets, while none of its members run; a name that is not there makes one',
    )
    .argument('<name>')
    .option('-t, --topic <name>', 'only this topic; otherwise all that the group has committed for')
    .option('-p, --partition <n>', 'only this partition of the topic; may be repeated', severalNumbers)
    .option('--earliest', 'to the first record that is there')
    .option('--latest', 'to the end')
    .option(
      '--offset <n>',
      'to this offset, or the nearest end of a partition that does not reach it',
      wholeNumber(0),
    )
    .option('--time <when>', 'to the first record at least as new: ISO 8601, or milliseconds since 1970')
    .option('--shift <n>', 'so many records forwards, or backwards when negative', signedNumber)
    .option('--dry-run', 'only show what would be moved')
    .option('--json', 'print where each partition was and is, and whether the group is new, as JSON')
    .addHelpText(
      'after',
      examples(
        'stele group reset billing --topic orders --earliest --dry-run',
        'stele group reset billing --time 2026-01-01T00:00:00Z',
        'stele group reset billing --topic orders --partition 0 --shift -100',
      ),
    )
    .action(async (name, options) => (await import('./group.ts')).resetGroup(name, options))

const remove = () =>
  withServer(new Command('delete'))
    .description('delete groups with their offsets, while none of their members run')
    .argument('<name...>')
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print the deleted names as a JSON array')
    .addHelpText('after', examples('stele group delete billing', 'stele group delete old-1 old-2 --yes'))
    .action(async (names, options) => (await import('./group.ts')).deleteGroups(names, options))
