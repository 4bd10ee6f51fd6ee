/** The chart: what it makes is checked by the API server, with many values; installing, upgrading and uninstalling take no data. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { kubectl } from './cluster.ts'
import {
  chart,
  definitions,
  helm,
  install,
  installOperator,
  operatorNamespace,
  removeOperator,
  type Values,
} from './operator.ts'
import { podMonitors } from './rig/binaries.ts'

type KubeObject = {
  kind: string
  metadata: { name: string; uid: string; annotations?: Record<string, string> }
  spec: Record<string, unknown>
}

const all: readonly [string, Values][] = [
  ['no values', {}],
  [
    'a first cluster',
    { 'cluster.create': true, topics: [{ name: 'orders', spec: { tablets: 3 } }, { name: 'clicks' }] },
  ],
  ['one namespace', { 'operator.watchNamespace': operatorNamespace.name }],
  ['monitoring', { 'monitoring.enabled': true, 'monitoring.labels': { release: 'prometheus' } }],
  [
    'one namespace and monitoring',
    { 'operator.watchNamespace': operatorNamespace.name, 'monitoring.enabled': true },
  ],
  [
    'a careful installation',
    {
      imagePullSecrets: [{ name: 'registry' }],
      'brokers.image': 'example.org/stele:1',
      'operator.replicas': 3,
      'operator.priorityClassName': 'system-cluster-critical',
      'operator.nodeSelector': { pool: 'system' },
      'operator.tolerations': [{ key: 'system', operator: 'Exists' }],
      'operator.affinity': { nodeAffinity: {} },
      'operator.podLabels': { team: 'logs' },
      'operator.podAnnotations': { note: 'yes' },
      'operator.extraEnv': [{ name: 'NODE_OPTIONS', value: '--max-old-space-size=200' }],
      'serviceAccount.annotations': { note: 'yes' },
      fullnameOverride: 'log',
    },
  ],
  [
    'one operator with an account that is there',
    {
      'operator.replicas': 1,
      'serviceAccount.create': false,
      'serviceAccount.name': 'mine',
      'rbac.create': false,
    },
  ],
]

const asArgs = (values: Values): string[] =>
  Object.entries(values).flatMap(([name, value]) => ['--set-json', `${name}=${JSON.stringify(value)}`])

const template = (values: Values, ...args: string[]): Promise<string> =>
  helm('template', 'stele', chart, '--namespace', operatorNamespace.name, ...asArgs(values), ...args)

const objectsOf = (yaml: string): KubeObject[] =>
  parseAllDocuments(yaml)
    .map(document => document.toJS() as KubeObject | null)
    .filter(object => object !== null)

const served = ['--api-versions', 'stele.dev/v1alpha1/LogCluster']
let directory = ''

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stele-chart-'))
  await installOperator({ 'operator.replicas': 0 })
  await kubectl(['apply', '--server-side', '-f', await podMonitors()])
})
afterAll(async () => {
  await rm(directory, { recursive: true })
  await kubectl(['delete', '--ignore-not-found', '-f', await podMonitors()])
  await removeOperator()
})

test.each([1, 20_260_101, '0.1.0'])('an image may have the tag %j, a number to Helm or not', async tag => {
  expect(await template({ 'image.tag': tag })).toContain(`image: "stele:${tag}"`)
})

describe.each(all)('with %s', (_, values) => {
  test('Helm finds nothing to complain of', async () => {
    expect(await helm('lint', '--strict', chart, ...asArgs(values))).toContain('0 chart(s) failed')
  })

  test.each([
    ['the first time', []],
    ['later', served],
  ])('the API server takes every object %s', async (_, args) => {
    const yaml = await template(values, ...args)
    const objects = objectsOf(yaml)
    expect(objects.length).toBeGreaterThanOrEqual(4)
    await kubectl(
      ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict', '-f', '-'],
      yaml,
    )
  })
})

test.each([
  ['a value that does not exist', { 'operator.replica': 3 }, /additional properties 'replica' not allowed/],
  ['a number in words', { 'operator.replicas': 'two' }, /replicas.*got string, want integer/s],
  ['a cluster without a good name', { 'cluster.name': 'Events' }, /name.*does not match pattern/s],
  [
    'an account that is not named',
    { 'serviceAccount.create': false },
    /serviceAccount\.name: name the account/,
  ],
])('%s is refused', async (_, values, message) => {
  await expect(template(values)).rejects.toThrow(message)
})

test('what is packaged is what is in the checkout', async () => {
  await helm('package', chart, '--destination', directory)
  const [file = ''] = await readdir(directory)
  const values = asArgs({ 'cluster.create': true })
  const packaged = await helm('template', 'stele', join(directory, file), ...values)
  expect(packaged).toBe(await helm('template', 'stele', chart, ...values))
  expect(objectsOf(packaged).filter(({ kind }) => kind === 'CustomResourceDefinition')).toHaveLength(
    definitions.length,
  )
})

test('pods of the operator may do nothing that restricted pods may not', async () => {
  const deployment = objectsOf(await template({})).find(({ kind }) => kind === 'Deployment')
  expect(deployment?.spec).toMatchObject({
    replicas: 2,
    template: {
      spec: {
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            args: ['operator'],
            securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          },
        ],
      },
    },
  })
})

test('with one namespace to look after, no rights are asked for in others', async () => {
  const objects = objectsOf(await template({ 'operator.watchNamespace': 'logs' }))
  const rules = objects
    .filter(({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === 'stele-operator')
    .flatMap(object => (object as unknown as { rules: { resources: string[]; verbs: string[] }[] }).rules)
  expect(rules.flatMap(({ resources }) => resources)).toEqual([
    'nodes',
    'persistentvolumes',
    'storageclasses',
    'customresourcedefinitions',
  ])
  expect(rules.flatMap(({ verbs }) => verbs)).not.toContain('update')
})

describe('the life of a release with a first cluster', () => {
  const values = { 'operator.replicas': 0, 'cluster.create': true, topics: [{ name: 'orders' }] }
  const uids = async (): Promise<string[]> => {
    const list = JSON.parse(
      await operatorNamespace.kubectl('get', 'logclusters,logtopics', '-o', 'json'),
    ) as {
      items: KubeObject[]
    }
    return list.items.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).toSorted()
  }
  let made: string[] = []

  test('it comes with the definitions in one command', async () => {
    await removeOperator()
    await operatorNamespace.create()
    const said = await install(values)
    expect(said).toContain('kubectl -n stele-system wait --for=condition=Available logcluster/events')
    made = await uids()
    expect(made.map(name => name.split(' ')[0])).toEqual(['events', 'orders'])
    expect(await operatorNamespace.kubectl('get', 'jobs', '-o', 'name')).toBe('')
  })

  test('an upgrade changes the same objects, and the definitions', async () => {
    await kubectl([
      'patch',
      'crd',
      'logclusters.stele.dev',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/spec/names/categories"}]',
    ])
    await install({ ...values, 'cluster.spec.brokers': 5 })
    expect(await uids()).toEqual(made)
    expect((await operatorNamespace.get<KubeObject>('logcluster', 'events')).spec).toMatchObject({
      brokers: 5,
    })
    const definition = await operatorNamespace.get<{ spec: { names: object } }>(
      'crd',
      'logclusters.stele.dev',
    )
    expect(definition.spec.names).toMatchObject({ categories: ['stele'] })
  })

  test('without the value the cluster stays', async () => {
    await install({ 'operator.replicas': 0 })
    expect(await uids()).toEqual(made)
  })

  test('uninstalled, it leaves definitions, cluster and topic', async () => {
    const said = await helm('uninstall', 'stele', '--namespace', operatorNamespace.name, '--wait')
    for (const kept of definitions) expect(said).toContain(kept)
    expect(await uids()).toEqual(made)
    expect(
      await operatorNamespace.kubectl(
        'get',
        'deployments,serviceaccounts,poddisruptionbudgets',
        '-o',
        'name',
      ),
    ).toBe('serviceaccount/default\n')
  })

  test('installed again, it takes them over', async () => {
    await install(values)
    expect(await uids()).toEqual(made)
  })
})
