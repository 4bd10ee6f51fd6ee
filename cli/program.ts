import { Command } from 'commander'
import { consumeCommand } from './consume/command.ts'
import { dumpCommand } from './dump/command.ts'
import { groupCommand } from './group/command.ts'
import { kubeCommands } from './kube/command.ts'
import { operatorCommand } from './operator/command.ts'
import { examples } from './options.ts'
import { produceCommand } from './produce/command.ts'
import { startCommand } from './start/command.ts'
import { topicCommand } from './topic/command.ts'
import { versionCommand, versionText } from './version.ts'

/** The whole command line. Parsing loads no more than the help texts; each action loads what it needs. */
export function program(): Command {
  const stele = new Command('stele')
    .description('A distributed append-only log that speaks Kafka and HTTP.')
    .version(versionText(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText(
      'after',
      examples(
        'stele start                            # a broker, its data in ./data',
        'echo hello | stele produce greetings   # in another terminal',
        'stele consume greetings --follow',
      ),
    )
  for (const command of [
    startCommand(),
    topicCommand(),
    produceCommand(),
    consumeCommand(),
    groupCommand(),
    dumpCommand(),
    ...kubeCommands(),
    operatorCommand(),
    versionCommand(),
  ]) {
    stele.addCommand(command)
  }
  forEachCommand(stele, command =>
    command.showHelpAfterError(`Say ${path(command)} --help for how to use it.`).exitOverride(),
  )
  return stele
}

function forEachCommand(command: Command, act: (command: Command) => void): void {
  act(command)
  for (const child of command.commands) forEachCommand(child, act)
}

const path = (command: Command): string =>
  command.parent === null ? command.name() : `${path(command.parent)} ${command.name()}`
