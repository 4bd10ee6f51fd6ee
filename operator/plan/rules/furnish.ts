import {
  services,
  configMaps,
  networkPolicies,
  podDisruptionBudgets,
  roleBindings,
  roles,
  serviceAccounts,
} from '../../../kube/resources.ts'
import type { KubeObject, Resource } from '../../../kube/api.ts'
import type { Seen } from '../../observe/seen.ts'
import { role, roleBinding, serviceAccount } from '../../resources/access.ts'
import { configMap, dynamicConfigMap } from '../../resources/configuration.ts'
import { networkPolicy, podDisruptionBudget } from '../../resources/guards.ts'
import { firstAddress, namesOfPods } from '../../resources/reaching.ts'
import { put } from '../put.ts'
import type { Step } from '../step.ts'

/** What brokers share: made when it is missing, put back when it was edited. */
export function furnish(seen: Seen): Step[] {
  const { cluster, properties } = seen
  const one = <T extends KubeObject>(
    resource: Resource<T>,
    live: ReadonlyMap<string, T>,
    wanted: T,
  ): Step[] => put(cluster, resource, live.get(wanted.metadata.name), wanted)
  return [
    ...one(serviceAccounts, seen.serviceAccounts, serviceAccount(cluster)),
    ...one(roles, seen.roles, role(cluster)),
    ...one(roleBindings, seen.roleBindings, roleBinding(cluster)),
    ...(properties === undefined ? [] : one(configMaps, seen.configMaps, configMap(cluster, properties))),
    ...one(configMaps, seen.configMaps, dynamicConfigMap(cluster)),
    ...one(services, seen.services, namesOfPods(cluster)),
    ...one(services, seen.services, firstAddress(cluster)),
    ...one(podDisruptionBudgets, seen.budgets, podDisruptionBudget(cluster)),
    ...one(networkPolicies, seen.policies, networkPolicy(cluster)),
  ]
}
