import { expect, test } from 'vitest'
import { brokerId } from '../../base/quantities.ts'
import type { KubeObject } from '../../kube/api.ts'
import { clusterOf, nothing, seenOf } from '../observed.fixture.ts'
import { role, roleBinding } from '../resources/access.ts'
import { configMap, dynamicConfigMap } from '../resources/configuration.ts'
import { networkPolicy, podDisruptionBudget } from '../resources/guards.ts'
import { firstAddress, outsideAddress } from '../resources/reaching.ts'
import { statefulSet } from '../resources/stateful-set.ts'
import { additionsIn } from './additions.ts'

const cluster = clusterOf({
  resources: { limits: { memory: '1Gi' } },
  template: { tolerations: [{ key: 'logs' }], nodeSelector: { disk: 'fast' } },
})
const pod = seenOf(nothing(cluster)).wanted.get(brokerId(0))
if (pod === undefined) throw new Error('no pod is wanted')
const wanted = {
  set: statefulSet(pod),
  service: firstAddress(cluster),
  outside: outsideAddress(cluster, brokerId(0), { type: 'NodePort' }),
  config: configMap(cluster, 'a=b'),
  dynamic: dynamicConfigMap(cluster),
  role: role(cluster),
  binding: roleBinding(cluster),
  budget: podDisruptionBudget(cluster),
  policy: networkPolicy(cluster),
}

/** `object` with `value` under the dotted path; numbers are places in lists. */
function edited(object: KubeObject, path: string, value: unknown): KubeObject {
  const copy = structuredClone(object) as unknown as Record<string, unknown>
  const steps = path.split('.')
  const last = steps.pop() ?? ''
  const at = steps.reduce((inner, step) => (inner[step] ??= {}) as Record<string, unknown>, copy)
  at[last] = value
  return copy as unknown as KubeObject
}

const template = 'spec.template.spec'

test.each<[keyof typeof wanted, string, unknown]>([
  ['service', 'spec.selector.app', 'shop'],
  ['service', 'spec.ports.2', { name: 'more', port: 1 }],
  ['service', 'spec.ports.0.port', 9093],
  ['service', 'spec.externalIPs', ['10.0.0.1']],
  ['config', 'data.more', 'x'],
  ['config', 'binaryData', { more: 'eA==' }],
  ['role', 'rules.4', { apiGroups: [''], resources: ['secrets'], verbs: ['get'] }],
  ['role', 'rules.0.resourceNames', ['one']],
  ['binding', 'subjects.1', { kind: 'User', name: 'eve' }],
  ['budget', 'spec.selector.matchLabels.app', 'shop'],
  ['budget', 'spec.selector.matchExpressions', [{ key: 'a', operator: 'Exists' }]],
  ['policy', 'spec.ingress.0.from', [{ podSelector: {} }]],
  ['policy', 'spec.podSelector.matchLabels.app', 'shop'],
  ['set', `${template}.nodeSelector.zone`, 'a'],
  ['set', `${template}.hostNetwork`, true],
  ['set', `${template}.initContainers`, [{ name: 'first' }]],
  ['set', `${template}.containers.1`, { name: 'beside' }],
  ['set', `${template}.containers.0.env.6`, { name: 'NODE_OPTIONS', value: '--inspect' }],
  ['set', `${template}.containers.0.env.2.value`, 'x'],
  ['set', `${template}.containers.0.envFrom`, [{ configMapRef: { name: 'x' } }]],
  ['set', `${template}.containers.0.volumeMounts.0.mountPath`, '/elsewhere'],
  ['set', `${template}.containers.0.resources.limits.cpu`, '1'],
  ['set', `${template}.containers.0.securityContext.capabilities.add`, ['NET_ADMIN']],
  ['set', `${template}.containers.0.livenessProbe.exec`, { command: ['true'] }],
  ['set', `${template}.volumes.0.emptyDir`, {}],
  ['set', `${template}.tolerations.1`, { operator: 'Exists' }],
])('%s %s = %j is taken away', (which, path, value) => {
  expect(additionsIn(edited(wanted[which], path, value), wanted[which])).toHaveLength(1)
})

test.each<[keyof typeof wanted, string, unknown]>([
  ['service', 'spec.clusterIP', '10.0.0.9'],
  ['service', 'spec.sessionAffinity', 'None'],
  ['outside', 'spec.ports.0.nodePort', 30_000],
  ['service', 'metadata.labels.mine', 'x'],
  ['dynamic', 'data.more', 'x'],
  ['binding', 'subjects.0.apiGroup', ''],
  ['set', 'spec.template.metadata.annotations.x', 'y'],
  ['set', `${template}.restartPolicy`, 'Always'],
  ['set', `${template}.schedulerName`, 'default-scheduler'],
  ['set', `${template}.serviceAccount`, 'events-broker'],
  ['set', `${template}.dnsPolicy`, 'ClusterFirst'],
  ['set', `${template}.volumes.1.configMap.defaultMode`, 420],
  ['set', `${template}.containers.0.terminationMessagePath`, '/dev/termination-log'],
  ['set', `${template}.containers.0.imagePullPolicy`, 'IfNotPresent'],
  ['set', `${template}.containers.0.env.2.valueFrom.fieldRef.apiVersion`, 'v1'],
  ['set', `${template}.containers.0.livenessProbe.successThreshold`, 1],
  ['set', `${template}.containers.0.livenessProbe.httpGet.scheme`, 'HTTP'],
  ['set', `${template}.initContainers`, []],
])('%s %s = %j, as API servers fill it in or others may write it, stays', (which, path, value) => {
  expect(additionsIn(edited(wanted[which], path, value), wanted[which])).toEqual([])
})

test('ports of nodes that were given are kept when others are taken away', () => {
  const live = edited(edited(wanted.outside, 'spec.ports.0.nodePort', 30_000), 'spec.ports.1', {
    name: 'more',
    port: 1,
  })
  expect(additionsIn(live, wanted.outside)).toMatchObject([
    { op: 'replace', path: '/spec/ports', value: [{ name: 'external', nodePort: 30_000 }] },
  ])
})

test('what is wanted no more is taken away where nothing is wanted in its stead', () => {
  const live = edited(wanted.service, 'spec.externalIPs', ['10.0.0.1'])
  expect(additionsIn(live, wanted.service)).toEqual([{ op: 'remove', path: '/spec/externalIPs' }])
})
