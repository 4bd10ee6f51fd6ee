import type { InKubernetes } from '../../broker/main.ts'
import { usageFailure } from '../failure.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** What the operator gives to a broker's pod beside its settings. */
export function inKubernetes(environment: Environment, lost: InKubernetes['lost']): InKubernetes {
  const required = (name: string, what: string): string => {
    const value = environment[name]
    if (value !== undefined && value !== '') return value
    throw usageFailure(
      `--control kubernetes needs the environment variable ${name}: ${what}.`,
      'The operator sets it in the pods it makes; apply a LogCluster instead of starting a broker by hand.',
    )
  }
  const given = (name: string): string | undefined => environment[name] || undefined
  return {
    cluster: required('STELE_CLUSTER', "the LogCluster's name"),
    namespace: required('POD_NAMESPACE', 'where the LogCluster is'),
    pod: required('POD_NAME', "this pod's name"),
    clusterId: given('STELE_CLUSTER_ID'),
    kubeconfig: given('KUBECONFIG'),
    lost,
  }
}
