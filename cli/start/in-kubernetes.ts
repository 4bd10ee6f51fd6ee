import type { Cluster } from '../../broker/main.ts'
import { usageFailure } from '../failure.ts'
import { versionText } from '../version.ts'

/**
 * The readiness probe of the pod fails twice, a second apart, and the nodes hear of it within a second more. Before that a node would send new connections on to a pod
 * that is gone, and remember the way for each that tries: such a client waits for its own time-out, up to 30 s.
 */
const noticeMs = 3_500

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The cluster of a broker in a pod, from what the operator gives to the pod beside its settings. `lost` is called when somebody else is
 * this broker.
 */
export function inKubernetes(environment: Environment, lost: (why: string) => void): Cluster {
  const given = (name: string): string | undefined => environment[name] || undefined
  const required = (name: string, what: string): string => {
    const value = given(name)
    if (value !== undefined) return value
    throw usageFailure(
      `--control kubernetes needs the environment variable ${name}: ${what}.`,
      'The operator sets it in the pods it makes; apply a LogCluster instead of starting a broker by hand.',
    )
  }
  const place = {
    cluster: required('STELE_CLUSTER', "the LogCluster's name"),
    namespace: required('POD_NAMESPACE', 'where the LogCluster is'),
    pod: required('POD_NAME', "this pod's name"),
    kubeconfig: given('KUBECONFIG'),
  }
  return {
    clusterId: given('STELE_CLUSTER_ID'),
    noticeMs,
    async openStore({ log, ...world }) {
      // Loaded here alone: most brokers have no use for it.
      const { openInCluster } = await import('../../control/kubernetes/in-cluster.ts')
      const control = log.child({ control: 'kubernetes' })
      return openInCluster({ ...world, ...place, log: control, lost, version: versionText() })
    },
  }
}
