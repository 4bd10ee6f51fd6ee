import { expect, test } from 'vitest'
import type { Pod } from '../../kube/resources.ts'
import { isBroken, isStarted, podFault } from './pod.ts'

const container = (more: object) => ({
  name: 'stele',
  image: '',
  imageID: '',
  ready: false,
  restartCount: 0,
  ...more,
})
const pod = (status: object): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status })
const withContainer = (more: object): Pod => pod({ containerStatuses: [container(more)] })
const ended = {
  terminated: { exitCode: 1, reason: 'Error', message: 'the data directory belongs to broker 3' },
}

test.each<[string, Pod, string, RegExp]>([
  [
    'an image',
    withContainer({ state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } } }),
    'BrokerFailed',
    /^ImagePullBackOff: no such image; correct spec\.image/,
  ],
  [
    'a crash',
    withContainer({
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } },
      lastState: ended,
    }),
    'BrokerFailed',
    /^CrashLoopBackOff: it ended with exit code 1, the data directory belongs to broker 3; .*kubectl logs --previous/,
  ],
  [
    'a crash that is just being tried again',
    withContainer({ restartCount: 2, state: { running: {} }, lastState: ended }),
    'BrokerFailed',
    /^Error: it ended with exit code 1/,
  ],
  [
    'a failed pod',
    pod({ phase: 'Failed', reason: 'Evicted', message: 'low on memory' }),
    'BrokerFailed',
    /^Evicted: low on memory/,
  ],
  [
    'no node',
    pod({
      conditions: [
        { type: 'PodScheduled', status: 'False', message: '0/3 nodes are available: 3 Insufficient cpu.' },
      ],
    }),
    'BrokerUnschedulable',
    /^0\/3 nodes are available.*spec\.resources/,
  ],
  [
    'no volume',
    pod({
      conditions: [
        {
          type: 'PodScheduled',
          status: 'False',
          message: 'pod has unbound immediate PersistentVolumeClaims',
        },
      ],
    }),
    'VolumeUnbound',
    /unbound immediate PersistentVolumeClaims/,
  ],
])('%s is told in the words of who knows', (_, seen, reason, message) => {
  expect(podFault(seen)).toMatchObject({ reason, message: expect.stringMatching(message) as string })
  expect(isBroken(seen)).toBe(reason === 'BrokerFailed')
})

test.each<[string, Pod]>([
  ['a pod that is being made', pod({})],
  [
    'a container that is being created',
    withContainer({ state: { waiting: { reason: 'ContainerCreating' } } }),
  ],
  ['one restart', withContainer({ restartCount: 1, state: { running: {} }, lastState: ended })],
  [
    'a clean end',
    withContainer({ restartCount: 5, state: { running: {} }, lastState: { terminated: { exitCode: 0 } } }),
  ],
  [
    'a broker that serves again',
    withContainer({ ready: true, restartCount: 5, state: { running: {} }, lastState: ended }),
  ],
])('%s is no fault', (_, seen) => {
  expect(podFault(seen)).toBeUndefined()
  expect(isBroken(seen)).toBe(false)
})

test('a broker has started when the kubelet says so', () => {
  expect(isStarted(withContainer({ started: true }))).toBe(true)
  expect(isStarted(withContainer({}))).toBe(false)
})
