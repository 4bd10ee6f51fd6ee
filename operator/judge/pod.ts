import type { Pod } from '../../kube/resources.ts'
import type { Fault } from './fault.ts'

/** Reasons of the kubelet by which a container waits that will not start as it is. */
const failures = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ImageInspectError',
  'ErrImageNeverPull',
  'RegistryUnavailable',
  'CrashLoopBackOff',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'StartError',
])

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]

const statusesOf = ({ status }: Pod): readonly ContainerStatus[] => [
  ...(status?.initContainerStatuses ?? []),
  ...(status?.containerStatuses ?? []),
]

/** Whether the pod does not come up by itself as it is. */
export const isBroken = (pod: Pod): boolean =>
  pod.status?.phase === 'Failed' || statusesOf(pod).some(status => failureOf(status) !== undefined)

/** Whether the broker's process runs: from here on it recovers its logs. */
export const isStarted = (pod: Pod): boolean =>
  (pod.status?.containerStatuses ?? []).some(({ started }) => started === true)

/** Why the broker does not start, in the words of the scheduler and the kubelet; undefined while nothing speaks against it. */
export function podFault(pod: Pod): Fault | undefined {
  for (const status of statusesOf(pod)) {
    const failure = failureOf(status)
    if (failure !== undefined) return { reason: 'BrokerFailed', message: `${failure}${remedyOf(failure)}` }
  }
  if (pod.status?.phase === 'Failed') {
    const { reason = 'Failed', message = 'its pod has failed' } = pod.status
    return { reason: 'BrokerFailed', message: `${reason}: ${message}; kubectl describe shows more` }
  }
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status !== 'False') return undefined
  const message = scheduled.message ?? 'no node takes its pod'
  return {
    reason: /persistentvolumeclaim/i.test(message) ? 'VolumeUnbound' : 'BrokerUnschedulable',
    message: `${message}: add nodes or volumes, or change spec.resources, spec.template or spec.storage`,
  }
}

function failureOf({ state, lastState, ready, restartCount }: ContainerStatus): string | undefined {
  const { reason = '', message } = state?.waiting ?? {}
  const last = state?.terminated ?? lastState?.terminated
  const end = last === undefined ? undefined : endOf(last)
  if (failures.has(reason)) return `${reason}: ${end ?? message ?? 'no message'}`
  if (ready || last === undefined || last.exitCode === 0) return undefined
  return state?.terminated !== undefined || restartCount > 1 ? `${last.reason ?? 'Error'}: ${end}` : undefined
}

const endOf = ({ exitCode, message }: { readonly exitCode: number; readonly message?: string }): string =>
  `it ended with exit code ${exitCode}${message === undefined ? '' : `, ${message.trim().slice(-500)}`}`

const remedyOf = (failure: string): string =>
  /Image|Registry/.test(failure)
    ? '; correct spec.image, or what pulls it'
    : "; the broker's log says more (kubectl logs --previous); correct spec.config, spec.resources or spec.image"
