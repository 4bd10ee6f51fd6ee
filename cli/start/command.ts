import { Command, InvalidArgumentError, Option } from 'commander'
import { examples, hostAndPort, several, wholeNumber } from '../options.ts'

/** `stele start`: what can be said; `start.ts` does it. */
export function startCommand(): Command {
  return new Command('start')
    .description('run a broker, or several with --brokers, in the foreground until Ctrl-C')
    .option('-d, --data <dir>', 'where the log lives; made when missing', './data')
    .option('--kafka <host:port>', 'where Kafka clients connect (default: localhost:9092)', hostAndPort)
    .option('--http <host:port>', 'where HTTP clients connect (default: localhost:8080)', hostAndPort)
    .option('-s, --set <name=value>', 'a broker setting; may be repeated', several)
    .option('-c, --config <file>', 'broker settings, a name=value a line; --set goes before it')
    .addOption(
      new Option('--control <where>', 'where topics and assignments are kept')
        .choices(['embedded', 'kubernetes'])
        .default('embedded')
        .argParser(controlPlace),
    )
    .option(
      '--brokers <n>',
      'so many brokers on this machine, each a process, to try a cluster; --kafka and --http are those of the first, each further one has the next ports',
      wholeNumber(1),
    )
    .option('--json', 'print one line of JSON when ready')
    .addHelpText(
      'after',
      examples(
        'stele start',
        'stele start --data /var/lib/stele --kafka 0.0.0.0:9092 --http :8080',
        'stele start --set log.retention.hours=24 --set stele.log.level=debug',
        'stele start --config stele.properties --set stele.log.file=stele.log',
        'stele start --brokers 3 --data ./cluster',
        'stele start --brokers 3 --data ./cluster --kafka localhost:19092 --http localhost:18080',
        'stele start --brokers 3 --data ./cluster --set broker.rack=zone-{id} --set min.insync.replicas=2',
      ),
    )
    .action(async options => {
      // Whoever keeps the control store of several brokers needs no broker, and little memory.
      if (options.brokers !== undefined) return (await import('./cluster.ts')).startCluster(options)
      return (await import('./start.ts')).start(options)
    })
}

/** `parent` is what a broker is told that `--brokers` has started; nobody else says it. */
function controlPlace(text: string): string {
  if (['embedded', 'kubernetes', 'parent'].includes(text)) return text
  throw new InvalidArgumentError('Allowed choices are embedded, kubernetes.')
}
