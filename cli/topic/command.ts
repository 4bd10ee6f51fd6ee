import { Command } from 'commander'
import {
  examples,
  nameAndValue,
  numberList,
  several,
  severalNumbers,
  wholeNumber,
  withServer,
} from '../options.ts'

/** `stele topic …`: what can be said; `topic.ts` does it. */
export function topicCommand(): Command {
  return new Command('topic')
    .description('make, look at, change, move and delete topics')
    .addHelpText('after', examples('stele topic create orders --partitions 3', 'stele topic list'))
    .addCommand(create())
    .addCommand(list())
    .addCommand(describe())
    .addCommand(alter())
    .addCommand(elect())
    .addCommand(move())
    .addCommand(remove())
}

const create = () =>
  withServer(new Command('create'))
    .description('make a topic')
    .argument('<name>', 'letters, digits, dots, underscores and hyphens')
    .option('-p, --partitions <n>', 'how many partitions', wholeNumber(1))
    .option('-r, --replication-factor <n>', 'how many copies of each', wholeNumber(1))
    .option('-c, --config <name=value>', 'a setting of the topic; may be repeated', nameAndValue)
    .option('--json', 'print the topic as JSON')
    .addHelpText(
      'after',
      examples(
        'stele topic create orders --partitions 3',
        'stele topic create orders --partitions 3 --replication-factor 3 --config min.insync.replicas=2',
        'stele topic create audit --config retention.ms=-1 --config segment.bytes=104857600',
      ),
    )
    .action(async (name, options) => (await import('./topic.ts')).createTopic(name, options))

const list = () =>
  withServer(new Command('list'))
    .description('list the topics')
    .option('--json', 'print them as a JSON array')
    .addHelpText('after', examples('stele topic list', "stele topic list --json | jq -r '.[].name'"))
    .action(async options => (await import('./topic.ts')).listTopics(options))

const describe = () =>
  withServer(new Command('describe'))
    .description("show a topic's partitions and settings")
    .argument('<name>')
    .option('-a, --all', 'also the settings that stand at their defaults')
    .option('--json', 'print it as JSON, with all settings')
    .addHelpText(
      'after',
      examples('stele topic describe orders', "stele topic describe orders --json | jq '.partitions[0]'"),
    )
    .action(async (name, options) => (await import('./topic.ts')).describeTopic(name, options))

const alter = () =>
  withServer(new Command('alter'))
    .description('add partitions, change settings')
    .argument('<name>')
    .option('-p, --partitions <n>', 'how many there shall be; only more', wholeNumber(1))
    .option('-c, --config <name=value>', 'a setting of the topic; may be repeated', nameAndValue)
    .option('-u, --unset <name>', 'put a setting back to its default; may be repeated', several)
    .option('--json', 'print the topic as JSON')
    .addHelpText(
      'after',
      examples(
        'stele topic alter orders --partitions 6',
        'stele topic alter orders --config retention.ms=86400000 --unset segment.bytes',
      ),
    )
    .action(async (name, options) => (await import('./topic.ts')).alterTopic(name, options))

const elect = () =>
  withServer(new Command('elect'))
    .description('give partitions back to their preferred leaders, or end that nobody leads them')
    .argument('<name>')
    .option('-p, --partition <n>', 'only this partition; may be repeated', severalNumbers)
    .option(
      '--unclean',
      'let those that nobody in sync can lead be led by the replica that has most: what only others had is lost',
    )
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print what became of each partition as a JSON array')
    .addHelpText(
      'after',
      examples(
        'stele topic elect orders                            # each partition by the first of its replicas',
        'stele topic elect orders --partition 0 --unclean    # when those in sync never come back',
      ),
    )
    .action(async (name, options) => (await import('./placement.ts')).electLeaders(name, options))

const move = () =>
  withServer(new Command('move'))
    .description('move replicas to other brokers, or change how many there are')
    .argument('<name>')
    .option('-p, --partition <n>', 'this partition; may be repeated', severalNumbers)
    .option('--to <brokers>', 'who shall have it, the preferred leader first, as in 1,2,3', numberList)
    .option('--cancel', 'take back what is under way, of all partitions or of --partition')
    .option('--json', 'print what begins as a JSON array')
    .addHelpText(
      'after',
      examples(
        'stele topic move orders --partition 0 --to 1,2,3',
        'stele topic describe orders                         # how far it is',
        'stele topic move orders --cancel',
      ),
    )
    .action(async (name, options) => (await import('./placement.ts')).moveReplicas(name, options))

const remove = () =>
  withServer(new Command('delete'))
    .description('delete topics with all their records')
    .argument('<name...>')
    .option('-y, --yes', 'do not ask')
    .option('--json', 'print the deleted names as a JSON array')
    .addHelpText('after', examples('stele topic delete orders', 'stele topic delete old-1 old-2 --yes'))
    .action(async (names, options) => (await import('./topic.ts')).deleteTopics(names, options))
