import { Command, Option } from 'commander'
import { examples, hostAndPort, several } from '../options.ts'

/** `stele start`: what can be said; `start.ts` does it. */
export function startCommand(): Command {
  return new Command('start')
    .description('run a broker in the foreground until Ctrl-C')
    .option('-d, --data <dir>', 'where the log lives; made when missing', './data')
    .option('--kafka <host:port>', 'where Kafka clients connect (default: localhost:9092)', hostAndPort)
    .option('--http <host:port>', 'where HTTP clients connect (default: localhost:8080)', hostAndPort)
    .option('-s, --set <name=value>', 'a broker setting; may be repeated', several)
    .option('-c, --config <file>', 'broker settings, a name=value a line; --set goes before it')
    .addOption(
      new Option('--control <where>', 'where topics and assignments are kept')
        .choices(['embedded', 'kubernetes'])
        .default('embedded'),
    )
    .option('--json', 'print one line of JSON when ready')
    .addHelpText(
      'after',
      examples(
        'stele start',
        'stele start --data /var/lib/stele --kafka 0.0.0.0:9092 --http :8080',
        'stele start --set log.retention.hours=24 --set stele.log.level=debug',
        'stele start --config stele.properties --set stele.log.file=stele.log',
      ),
    )
    .action(async options => (await import('./start.ts')).start(options))
}
