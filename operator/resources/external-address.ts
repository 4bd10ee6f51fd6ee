import type { BrokerId } from '../../base/quantities.ts'
import type { ExternalListener } from '../../control/kubernetes/resources/log-cluster.ts'
import { ports } from '../../control/kubernetes/resources/names.ts'
import type { ServiceObject } from '../../kube/resources.ts'

/** Where clients outside are sent for one broker. `$(NODE_IP)` as host: the kubelet puts the node's address there. */
export type ExternalAddress = { readonly host: string; readonly port: number }

export const nodeHost = '$(NODE_IP)'

/** Undefined while the API server or the load balancer has not given the address yet. */
export function externalAddress(
  listener: ExternalListener,
  id: BrokerId,
  service: ServiceObject | undefined,
): ExternalAddress | undefined {
  if (service?.spec?.type !== listener.type) return undefined
  const told = listener.host?.replaceAll('{id}', String(id))
  if (listener.type === 'NodePort') {
    const port = service.spec.ports?.find(one => one.name === 'external')?.nodePort
    return port === undefined ? undefined : { host: told ?? nodeHost, port }
  }
  const [ingress] = service.status?.loadBalancer?.ingress ?? []
  const host = told ?? ingress?.hostname ?? ingress?.ip
  return host === undefined || host === '' ? undefined : { host, port: ports.external }
}
