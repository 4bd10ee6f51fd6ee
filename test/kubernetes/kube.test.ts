import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import { afterAll, expect, inject, test } from 'vitest'
import { realWorld } from '../../broker/world/world.ts'
import { KubeClient, type RequestObservation } from '../../kube/client.ts'
import { Election } from '../../kube/election.ts'
import { EventRecorder } from '../../kube/events.ts'
import { kubeConfigAccess } from '../../kube/kube-config.ts'
import { ListWatch } from '../../kube/list-watch.ts'
import { configMaps, events, leases } from '../../kube/resources.ts'
import { until } from './rig/until.ts'

const { clock, random } = realWorld()
const log = pino({ enabled: false })
const seen: RequestObservation[] = []
const access = kubeConfigAccess({ file: inject('kubeconfig') })
const api = new KubeClient({ access, userAgent: 'test/1', onRequest: one => seen.push(one) })
const run = `kube-${randomBytes(4).toString('hex')}`
const key = { namespace: 'default', name: run }
const configMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { ...key, labels: { run } },
  data: { n: '0' },
}
const waitFor = (what: string, holds: () => boolean): Promise<unknown> => until(what, async () => holds())

afterAll(async () => {
  await api.delete(configMaps, key)
  await api.delete(leases, key)
})

test('a ListWatch follows what happens', async () => {
  const told: string[] = []
  const watch = new ListWatch({
    api,
    clock,
    random,
    log,
    resource: configMaps,
    selection: { labelSelector: `run=${run}` },
    onChange: ({ before, after }) => told.push(`${before?.data?.['n']} > ${after?.data?.['n']}`),
    timings: { watchSeconds: 1 },
  })
  watch.start()
  await watch.synced
  await api.create(configMaps, configMap)
  for (let n = 1; n < 5; n += 1) {
    // Longer than a watch lasts: it goes on where it was.
    const watches = seen.length
    await waitFor('another watch', () => seen.length > watches)
    await api.patch(configMaps, key, [{ op: 'replace', path: '/data/n', value: String(n) }])
  }
  await api.delete(configMaps, key)
  await waitFor('the end', () => told.length === 6)
  expect(told).toEqual(['undefined > 0', '0 > 1', '1 > 2', '2 > 3', '3 > 4', '4 > undefined'])
  expect(seen.filter(({ verb }) => verb === 'list')).toHaveLength(1)
  expect(watch.isHealthy(10_000)).toBe(true)
  await watch.stop()
})

test('an Event is accepted, and counts on', async () => {
  const recorder = new EventRecorder({ api, clock, random, log, controller: 'stele.dev/test', instance: run })
  const fact = {
    regarding: configMap,
    type: 'Normal',
    reason: 'Tested',
    action: 'Test',
    note: 'all is well',
  } as const
  const told = async () =>
    (await api.list(events, { namespace: 'default' })).items.filter(
      ({ regarding }) => regarding?.name === run,
    )
  recorder.record(fact)
  await until('the Event', async () => (await told()).length === 1)
  recorder.record(fact)
  await until('its series', async () => (await told())[0]?.series?.count === 2)
  await recorder.stop()
  expect((await told()).map(({ note }) => note)).toEqual(['all is well'])
  for (const { metadata } of await told())
    await api.delete(events, { namespace: 'default', name: metadata.name })
})

test('one of two leads, then the other', async () => {
  const leading: string[] = []
  const start = (identity: string): Election => {
    const onLeading = (signal: AbortSignal): Promise<void> => {
      leading.push(identity)
      return new Promise(resolve => {
        signal.addEventListener('abort', () => resolve())
      })
    }
    const timings = { leaseMs: 3_000, renewDeadlineMs: 2_000, retryMs: 200 }
    const election = new Election({ api, clock, random, log, lease: key, identity, onLeading, timings })
    election.start()
    return election
  }
  const first = start('a')
  await waitFor('the first', () => first.isLeading)
  const second = start('b')
  await waitFor('the second to see the first', () => second.holder === first.identity)
  await first.stop()
  await waitFor('the second', () => second.isLeading)
  expect(leading).toEqual(['a', 'b'])
  await second.stop()
})
