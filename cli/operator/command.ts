import { Command } from 'commander'
import { examples, hostAndPort } from '../options.ts'

/** `stele operator`: what can be said; `operator.ts` does it. */
export function operatorCommand(): Command {
  return new Command('operator')
    .description('run the Kubernetes operator in the foreground: it makes of LogClusters what they say')
    .option('-n, --namespace <name>', 'whose LogClusters it looks after (default: those of all namespaces)')
    .option(
      '--image <image>',
      "the brokers' image where a LogCluster names none (default: $STELE_BROKER_IMAGE)",
    )
    .option('--http <host:port>', 'where it answers /metrics, /livez and /readyz', hostAndPort, ':8080')
    .option(
      '--kubeconfig <file>',
      "how to reach Kubernetes (default: the pod's own account, else $KUBECONFIG or ~/.kube/config)",
    )
    .option('--log-level <level>', 'trace, debug, info, warn, error or fatal', 'info')
    .addHelpText(
      'after',
      examples(
        'stele operator',
        'stele operator --namespace logs --image stele:dev --kubeconfig kubeconfig.yaml',
      ),
    )
    .action(async options => (await import('./operator.ts')).operate(options))
}
