/** The kinds of Kubernetes itself that we read or write, as they stand in JSON. */
import type {
  EventsV1Event,
  V1ConfigMap,
  V1Lease,
  V1NetworkPolicy,
  V1Node,
  V1PersistentVolume,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodDisruptionBudget,
  V1Role,
  V1RoleBinding,
  V1Service,
  V1ServiceAccount,
  V1StatefulSet,
  V1StorageClass,
} from '@kubernetes/client-node'
import type { KubeObject, Resource } from './api.ts'

/** The client's models name reserved words with an underline and hold moments as Date; in JSON neither is so. */
type Json<Model> = Model extends Date
  ? string
  : Model extends readonly (infer Item)[]
    ? readonly Json<Item>[]
    : Model extends object
      ? { readonly [Key in keyof Model as Key extends `_${infer Name}` ? Name : Key]: Json<Model[Key]> }
      : Model

type Kind<Model> = KubeObject & Omit<Json<Model>, 'apiVersion' | 'kind' | 'metadata'>

export type Pod = Kind<V1Pod>
export type ServiceObject = Kind<V1Service>
export type ConfigMap = Kind<V1ConfigMap>
export type PersistentVolume = Kind<V1PersistentVolume>
export type PersistentVolumeClaim = Kind<V1PersistentVolumeClaim>
export type ServiceAccount = Kind<V1ServiceAccount>
export type Node = Kind<V1Node>
export type StatefulSet = Kind<V1StatefulSet>
export type Lease = Kind<V1Lease>
export type PodDisruptionBudget = Kind<V1PodDisruptionBudget>
export type NetworkPolicy = Kind<V1NetworkPolicy>
export type Role = Kind<V1Role>
export type RoleBinding = Kind<V1RoleBinding>
export type StorageClass = Kind<V1StorageClass>
export type Event = Kind<EventsV1Event>

const core = { group: '', version: 'v1' } as const
const apps = { group: 'apps', version: 'v1' } as const
const rbac = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const

export const pods: Resource<Pod> = { ...core, kind: 'Pod', plural: 'pods' }
export const services: Resource<ServiceObject> = { ...core, kind: 'Service', plural: 'services' }
export const configMaps: Resource<ConfigMap> = { ...core, kind: 'ConfigMap', plural: 'configmaps' }
export const persistentVolumeClaims: Resource<PersistentVolumeClaim> = {
  ...core,
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
}
export const persistentVolumes: Resource<PersistentVolume> = {
  ...core,
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  namespaced: false,
}
export const serviceAccounts: Resource<ServiceAccount> = {
  ...core,
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
}
export const nodes: Resource<Node> = { ...core, kind: 'Node', plural: 'nodes', namespaced: false }
export const statefulSets: Resource<StatefulSet> = { ...apps, kind: 'StatefulSet', plural: 'statefulsets' }
export const leases: Resource<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
}
export const podDisruptionBudgets: Resource<PodDisruptionBudget> = {
  group: 'policy',
  version: 'v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
}
export const networkPolicies: Resource<NetworkPolicy> = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
}
export const roles: Resource<Role> = { ...rbac, kind: 'Role', plural: 'roles' }
export const roleBindings: Resource<RoleBinding> = { ...rbac, kind: 'RoleBinding', plural: 'rolebindings' }
export const storageClasses: Resource<StorageClass> = {
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
  namespaced: false,
}
/** Of a kind that is not Kubernetes' own; only what every object has is looked at. */
export const customResourceDefinitions: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
}
export const events: Resource<Event> = {
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
}
