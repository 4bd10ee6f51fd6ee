import { expect, test } from 'vitest'
import { brokerId } from '../../base/quantities.ts'
import { clusterOf } from '../observed.fixture.ts'
import { podTemplate, revisionOf, type BrokerPod } from './pod.ts'

const pod = (more: Partial<BrokerPod> = {}): BrokerPod => ({
  cluster: clusterOf(),
  id: brokerId(2),
  image: 'stele:1',
  clusterId: 'abc',
  properties: '',
  zone: undefined,
  account: 'account',
  external: undefined,
  ...more,
})
const argumentsOf = (more: Partial<BrokerPod>) => podTemplate(pod(more)).spec?.containers[0]?.args?.join(' ')

test('a broker is told who it is and where it is reached', () => {
  const host = 'events-broker-2-0.events-brokers.logs.svc'
  expect(argumentsOf({ zone: 'a', external: { host: '$(NODE_IP)', port: 30_001 } })).toBe(
    'start --control=kubernetes --data=/data --config=/etc/stele/server.properties --json ' +
      '--set broker.id=2 --set broker.rack=a ' +
      '--set listeners=PLAINTEXT://:9092,HTTP://:8080,REPLICATION://:9093,EXTERNAL://:9094 ' +
      `--set advertised.listeners=PLAINTEXT://${host}:9092,HTTP://${host}:8080,REPLICATION://[$(POD_IP)]:9093,EXTERNAL://$(NODE_IP):30001`,
  )
  expect(argumentsOf({})).not.toContain('rack')
})

test('it runs under the restricted profile of pod security', () => {
  const spec = podTemplate(pod()).spec
  expect(spec?.securityContext).toMatchObject({
    runAsNonRoot: true,
    runAsUser: 65_532,
    fsGroup: 65_532,
    seccompProfile: { type: 'RuntimeDefault' },
  })
  expect(spec?.containers[0]?.securityContext).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
  })
  expect(spec?.terminationGracePeriodSeconds).toBe(60)
})

test('what a user adds is there, and cannot hide what is ours', () => {
  const spread = { topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 2 }
  const template = {
    labels: { team: 'log', 'stele.dev/cluster': 'other' },
    nodeSelector: { disk: 'ssd' },
    topologySpreadConstraints: [spread],
  }
  const { metadata, spec } = podTemplate(pod({ cluster: clusterOf({ template }) }))
  expect(metadata?.labels).toMatchObject({ team: 'log', 'stele.dev/cluster': 'events' })
  expect(spec?.nodeSelector).toEqual({ disk: 'ssd' })
  const keys = spec?.topologySpreadConstraints?.map(one => [one.topologyKey, one.maxSkew])
  expect(keys).toEqual([
    ['topology.kubernetes.io/zone', 1],
    ['kubernetes.io/hostname', 2],
  ])
})

test('all but its zone and its account makes another revision', () => {
  const revision = revisionOf(pod())
  expect(revisionOf(pod({ zone: 'a', account: 'another' }))).toBe(revision)
  const others: Partial<BrokerPod>[] = [
    { image: 'stele:2' },
    { properties: 'a=1\n' },
    { clusterId: 'other' },
    { external: { host: 'h', port: 1 } },
    { cluster: clusterOf({ resources: { limits: { cpu: 1 } } }) },
    { cluster: clusterOf({ template: { labels: { a: 'b' } } }) },
  ]
  const revisions = others.map(more => revisionOf(pod(more)))
  expect(new Set([revision, ...revisions]).size).toBe(others.length + 1)
})
