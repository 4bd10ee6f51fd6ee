import { Command, Option } from 'commander'
import { examples } from '../options.ts'

/** Which Kubernetes, and where in it; as kubectl's own commands take them. */
const inKubernetes = (command: Command): Command =>
  command
    .option('-n, --namespace <name>', "where to look (default: the context's namespace)")
    .option('-A, --all-namespaces', 'look everywhere')
    .option('--kubeconfig <file>', 'how to reach Kubernetes (default: $KUBECONFIG, else ~/.kube/config)')
    .option('--context <name>', 'which context of it (default: the current one)')
    .addOption(
      new Option('-o, --output <format>', 'wide: more columns; json: for programs').choices(['wide', 'json']),
    )
    .option('-w, --watch', 'show it again whenever it changes, until Ctrl-C')

/** `stele status`, `stele brokers`, `stele tablets`: what can be said; `look.ts` does it. As a plug-in of kubectl they are `kubectl stele …`. */
export const kubeCommands = (): Command[] => [status(), brokers(), tablets()]

const status = () =>
  inKubernetes(new Command('status'))
    .description('show how a cluster in Kubernetes is, and what to do about it')
    .argument('[cluster]', 'a LogCluster; all of them when it is not given')
    .addHelpText('after', examples('stele status', 'stele status events -n production --watch'))
    .action(async (cluster, options) => (await import('./look.ts')).look('status', { ...options, cluster }))

const brokers = () =>
  inKubernetes(new Command('brokers'))
    .description('list the brokers in Kubernetes: where they run, what they lead and hold')
    .argument('[cluster]', 'a LogCluster; all of them when it is not given')
    .addHelpText('after', examples('stele brokers', 'stele brokers events -o wide'))
    .action(async (cluster, options) => (await import('./look.ts')).look('brokers', { ...options, cluster }))

const tablets = () =>
  inKubernetes(new Command('tablets'))
    .description('list the tablets in Kubernetes: who leads and holds them, and who is behind')
    .argument('[topic]', "a topic's name; all of them when it is not given")
    .option('-c, --cluster <name>', 'those of one LogCluster')
    .option('-p, --problems', 'only those with something amiss')
    .addHelpText('after', examples('stele tablets orders', 'stele tablets --problems --watch'))
    .action(async (topic, options) => (await import('./look.ts')).look('tablets', { ...options, topic }))
