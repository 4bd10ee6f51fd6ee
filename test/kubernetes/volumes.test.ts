/** Brokers on volumes that can be full and can grow. The rig has such; on another cluster it would need a StorageClass of this kind. */
import { randomBytes } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isRig, Namespace, until } from './cluster.ts'
import { OwnedCluster } from './log-cluster.ts'
import { installOperator, removeOperator } from './operator.ts'
import { programs } from './rig/rig.ts'
import { growVolumes } from './rig/volumes.ts'

const namespace = new Namespace('stele-volumes')
const owned = new OwnedCluster(namespace, 'small')
const { change, converged, explain, seen, topic, uids } = owned
const cluster = (size: string): object => owned.cluster({ storage: { size, storageClassName: 'bounded' } })

/** The keys of all that was acknowledged, in their order. */
const written: string[] = []
let running: string[] = []

/** Sends records one at a time, without trying again, for as long as `going` says so. */
async function produce(going: () => boolean): Promise<void> {
  const { status } = await seen()
  const brokers = status?.externalBootstrap?.split(',') ?? []
  const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).producer({ retry: { retries: 0 } })
  await producer.connect()
  try {
    while (going()) {
      const key = String(written.length)
      const value = randomBytes(192 * 1024).toString('base64')
      await producer.send({ topic: 'orders', messages: [{ key, value }] })
      written.push(key)
    }
  } finally {
    await producer.disconnect()
  }
}

/** The keys of all records that a broker has, read from the broker that leads them. */
async function read(): Promise<string[]> {
  const lines = await namespace.exec('small-broker-0-0', 'stele', 'consume', 'orders', '--key-separator=:')
  return lines
    .trimEnd()
    .split('\n')
    .map(line => line.slice(0, line.indexOf(':')))
}

interface Claim {
  spec: { resources: { requests: { storage: string } } }
  status: { capacity: { storage: string }; conditions?: { type: string }[] }
}
const claims = (): Promise<Claim[]> =>
  Promise.all([0, 1, 2].map(id => namespace.get<Claim>('pvc', `small-broker-${id}`)))

const degraded = async () => (await seen()).status?.conditions?.find(({ type }) => type === 'Degraded')

describe.runIf(isRig)('a volume', () => {
  beforeAll(async () => {
    await namespace.create()
    await installOperator()
    await namespace.apply(cluster('32Mi'), topic('orders', 1))
    await converged(3)
    await owned.topicReady('orders')
    running = await uids()
  })
  afterAll(async () => {
    await namespace.remove()
    await removeOperator()
  })

  test('that is full takes no records, and the broker says so and serves what it has', async () => {
    const refused: unknown = await produce(() => written.length < 1_000).catch((error: unknown) => error)
    expect(refused).toMatchObject({ cause: { type: 'KAFKA_STORAGE_ERROR' } })
    expect(written.length).toBeGreaterThan(60)
    expect(await read()).toEqual(written)
    await converged(3)
    expect(await uids()).toEqual(running)
  })

  test('grows under the running broker, which takes records again', async () => {
    await change({ storage: { size: '64Mi' } })
    await until('the claims to ask for it', async () =>
      (await claims()).every(({ spec }) => spec.resources.requests.storage === '64Mi'),
    )
    await growVolumes(await programs())
    const before = written.length
    await produce(() => written.length < before + 60)
    expect(await read()).toEqual(written)
    await until(
      'the claims to be grown',
      async () =>
        (await claims()).every(
          ({ status }) => status.capacity.storage === '64Mi' && (status.conditions ?? []).length === 0,
        ),
      { explain },
    )
    await converged(3)
    expect((await degraded())?.reason).toBe('Healthy')
    expect(await uids()).toEqual(running)
  })

  test('does not shrink', async () => {
    await change({ storage: { size: '32Mi' } })
    await until('the reason', async () => (await degraded())?.reason === 'VolumeCannotShrink', { explain })
    expect((await degraded())?.message).toContain('set it to 64Mi or more')
    await change({ storage: { size: '64Mi' } })
    await until('the reason to go', async () => (await degraded())?.reason === 'Healthy', { explain })
  })

  test('that was kept and is larger than a cluster made again asks for is kept as it is', async () => {
    await owned.remove()
    await until('no brokers', async () => (await owned.pods()).length === 0, { limitMs: 90_000 })
    await namespace.apply(cluster('32Mi'))
    await converged(3)
    const told = await degraded()
    expect(told?.reason).toBe('VolumeCannotShrink')
    expect(told?.message).toContain(
      'brokers 0, 1, 2: spec.storage.size is 32Mi, the volume has 64Mi and volumes never shrink: set it to 64Mi or more',
    )
    await change({ storage: { size: '64Mi' } })
    await until('the reason to go', async () => (await degraded())?.reason === 'Healthy', { explain })
    await owned.topicReady('orders')
    // Brokers that have just started may not know each other yet.
    await until('the records', async () => (await read()).length === written.length, { explain })
    expect(await read()).toEqual(written)
  })
})
