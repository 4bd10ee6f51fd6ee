/**
 * What another version of Stele may have written: fields that are not known are passed over, and kept where several versions write (decision 0010).
 * Formats that are too new are refused, or read as if nothing were there where that loses nothing.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../base/crc32c.ts'
import { brokerId, incarnation, offset, type Epoch } from '../../base/quantities.ts'
import { Checkpoints } from '../../broker/log/checkpoint.ts'
import { CleanState } from '../../broker/log/compaction/clean-state.ts'
import { DataDirectory, DataDirectoryRefused } from '../../broker/log/data-directory.ts'
import { LeaderEpochs } from '../../broker/log/leader-epochs.ts'
import { startBroker } from '../../broker/main.ts'
import { Producers } from '../../broker/tablet/producers.ts'
import { realDisk } from '../../broker/world/disk.ts'
import { openClusterDirectory } from '../../cli/start/cluster-directory.ts'
import { openEmbeddedStore } from '../../control/embedded/store.ts'
import { mayJoin } from '../../control/levels.ts'
import { brokerIn } from '../../control/kubernetes/broker-lease.ts'
import { offlineIn } from '../../control/kubernetes/broker-report.ts'
import { annotations } from '../../control/kubernetes/resources/names.ts'
import { tabletSlices, type TabletSlice } from '../../control/kubernetes/resources/tablet-slice.ts'
import { openKubernetesStore } from '../../control/kubernetes/store.ts'
import { claimLeadership, type Broker, type Topic } from '../../control/model.ts'
import type { Channel, ToBroker, ToStore } from '../../control/served/messages.ts'
import { StoreServer } from '../../control/served/server.ts'
import { joinStore } from '../../control/served/store.ts'
import type { ControlStore } from '../../control/store.ts'
import type { Lease } from '../../kube/resources.ts'
import { decodeResponse, encodeRequest, encodeResponse } from '../../protocol/kafka/frame.ts'
import { api, array, int32, int64, string, struct, uuid } from '../../protocol/kafka/schema.ts'
import { Writer } from '../../protocol/kafka/writer.ts'
import { readFetch, replicaFetch } from '../../protocol/replication/fetch.ts'
import { SimKube } from '../sim/kube.ts'
import { quietLog, startPlacing } from '../sim/kube-placing.ts'
import { simWorld, type SimWorld } from '../sim/world.ts'
import { startOf, wanted } from './control-store.opened.ts'

function put(sim: SimWorld, path: string, text: string): void {
  const { disk } = sim.world
  const file = disk.open(path, disk.stat(path) === undefined ? 'create' : 'write')
  file.truncate(0)
  file.write([Buffer.from(text)], 0)
  file.close()
}

function textIn(sim: SimWorld, path: string): string {
  const file = sim.world.disk.open(path, 'read')
  const bytes = Buffer.alloc(file.sizeBytes())
  file.read(bytes, 0)
  file.close()
  return bytes.toString()
}

const jsonIn = (sim: SimWorld, path: string): unknown => JSON.parse(textIn(sim, path))

/** Every kind of write that touches a topic. */
async function live(
  store: ControlStore,
  { id, tablets }: Topic,
  settle: <T>(work: Promise<T>) => Promise<T>,
) {
  const [now] = tablets
  if (now === undefined) throw new Error('no tablet')
  const member = { broker: brokerId(1), incarnation: incarnation(1) }
  expect(await settle(store.changeTablets(id, [claimLeadership(0, now, member)]))).toBe('changed')
  await settle(store.alterTopicSettings(id, { set: { 'retention.ms': '1' }, unset: [] }))
  return settle(store.addTablets(id, 2))
}

function made(answers: readonly unknown[]): Topic {
  const [topic] = answers
  if (topic === undefined || topic instanceof Error) throw topic ?? new Error('none')
  return topic as Topic
}

describe('the file of the embedded control store', () => {
  const path = '/control.json'

  /** As a newer Stele would have left it. */
  async function fromTheFuture() {
    const sim = simWorld({ seed: 1 })
    const open = () => openEmbeddedStore({ ...sim.world, path })
    const store = open()
    await sim.clock.finish(store.registerBroker(startOf(1)))
    await sim.clock.finish(store.createTopics([wanted('t')]))
    const text = textIn(sim, path)
      .replace('"topics":[', '"quotas":{"a":[1]},\n"topics":[')
      .replace('{"name":"t"', '{"hue":"red","name":"t"')
      .replace('{"epoch":0', '{"shade":{"of":"blue"},"epoch":0')
      .replace('{"brokerId":1', '{"zeal":9,"brokerId":1')
      .replace('"addresses":{', '"addresses":{"quic":{"host":"h","port":1},')
    const body = text.slice(0, text.lastIndexOf('\n"crc32c":'))
    put(sim, path, `${body}\n"crc32c":${crc32c(Buffer.from(body))}}\n`)
    return { sim, open }
  }

  test('keeps what it does not know, through every kind of change', async () => {
    const { sim, open } = await fromTheFuture()
    const store = open()
    const topic = store.topics().get('t')
    if (topic === undefined) throw new Error('no topic')
    await live(store, topic, work => sim.clock.finish(work))
    await sim.clock.finish(store.leaving(brokerId(1), incarnation(1)))
    await sim.clock.finish(store.alterBrokerSettings({ set: { a: '1' }, unset: [] }))
    expect(jsonIn(sim, path)).toMatchObject({
      version: 1,
      quotas: { a: [1] },
      topics: [
        {
          hue: 'red',
          settings: { 'retention.ms': '1' },
          tablets: [{ shade: { of: 'blue' }, epoch: 1 }, { epoch: 0 }],
        },
      ],
      brokers: [{ zeal: 9, leaving: true, addresses: { quic: { host: 'h', port: 1 } } }],
    })
    // And again, from what was written now.
    await sim.clock.finish(open().createTopics([wanted('u')]))
    expect(jsonIn(sim, path)).toMatchObject({ quotas: { a: [1] }, topics: [{ hue: 'red' }, { name: 'u' }] })
  })

  test('a broker says anew what it is at each start', async () => {
    const { sim, open } = await fromTheFuture()
    await sim.clock.finish(open().registerBroker(startOf(1)))
    const { brokers } = jsonIn(sim, path) as { brokers: object[] }
    expect(brokers).toEqual([expect.not.objectContaining({ zeal: 9 })])
  })
})

describe('objects in Kubernetes', () => {
  test('a slice keeps what is not known of its tablets, through every kind of change', async () => {
    const sim = simWorld({ seed: 2 })
    const clock = sim.clock.clockOf({ alive: true })
    const kube = new SimKube({ clock, random: sim.random.fork() })
    startPlacing(kube, { clock, cluster: 'events', namespace: 'default' })
    const store = await sim.clock.finish(
      openKubernetesStore({
        ...sim.world,
        api: kube.client(sim.world.clock, 'pod'),
        log: quietLog,
        cluster: 'events',
        namespace: 'default',
        pod: 'events-broker-0-0',
        lost: () => undefined,
      }),
    )
    await sim.clock.finish(store.registerBroker(startOf(1)))
    const topic = made(await sim.clock.finish(store.createTopics([wanted('t')])))
    const [slice] = kube.peekAll(tabletSlices)
    if (slice === undefined) throw new Error('no slice')
    const { name, namespace = '' } = slice.metadata
    const withMore = (now: TabletSlice | undefined) =>
      now && { ...now, tablets: now.tablets.map(tablet => ({ ...tablet, shade: ['blue'] })) }
    kube.set(tabletSlices, { name, namespace }, withMore)
    await sim.clock.runFor(1_000)
    const [now] = store.topicById(topic.id)?.tablets ?? []
    expect(now).not.toHaveProperty('shade')
    await live(store, topic, work => sim.clock.finish(work))
    expect(kube.peekAll(tabletSlices)).toMatchObject([
      { tablets: [{ shade: ['blue'], epoch: 1, version: 1, leader: 1 }, { epoch: 0 }] },
    ])
    const [led] = store.topicById(topic.id)?.tablets ?? []
    if (led === undefined) throw new Error('no tablet')
    const nobody = { ...led, leader: undefined, version: led.version + 1 }
    const test = { epoch: led.epoch, version: led.version }
    expect(await sim.clock.finish(store.changeTablets(topic.id, [{ tablet: 0, test, to: nobody }]))).toBe(
      'changed',
    )
    const [after] = kube.peekAll(tabletSlices)
    expect(after?.tablets[0]).toMatchObject({ shade: ['blue'], version: 2 })
    expect(after?.tablets[0]).not.toHaveProperty('leader')
    await sim.clock.finish(store.close())
  })

  const lease = (texts: Record<string, unknown>): Lease => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: 'l',
      annotations: Object.fromEntries(
        Object.entries(texts).map(([name, one]) => [name, JSON.stringify(one)]),
      ),
    },
  })

  test('a Lease says who the broker is, and what it cannot serve, whatever else it says', () => {
    const { rack: _, ...start } = startOf(1)
    const record = { ...start, incarnation: 7, zeal: 9, addresses: { ...start.addresses, quic: 'soon' } }
    expect(brokerIn(lease({ [annotations.broker]: record }))).toMatchObject({
      brokerId: 1,
      incarnation: 7,
      addresses: start.addresses,
    })
    const reasons = [{ why: 'lost', since: 'noon', tablets: { id: [[2, 3]] } }]
    const said = { run: 7, reasons, unnamed: 1, disks: [] }
    const offline = offlineIn(lease({ [annotations.offline]: said }), 7)
    expect([offline.whyOf('id', 3), offline.unnamed]).toEqual(['lost', 1])
  })
})

describe('between a broker and the process that keeps the control store', () => {
  async function joined() {
    const sim = simWorld({ seed: 3 })
    const store = openEmbeddedStore({ ...sim.world, path: '/control.json' })
    const { clock } = sim.world
    const server = new StoreServer({ clusterId: 'c', complete: Promise.resolve(), store, clock })
    const atBroker: Channel<ToStore, ToBroker> = {
      send: message => void clock.after(0.1, () => atStore.received(structuredClone(message))),
      received: () => undefined,
      ended: () => undefined,
    }
    const atStore: Channel<ToBroker, ToStore> = {
      send: message => void clock.after(0.1, () => atBroker.received(structuredClone(message))),
      received: () => undefined,
      ended: () => undefined,
    }
    const joining = joinStore(atBroker, clock)
    server.serve(brokerId(1), atStore)
    const { store: served } = await sim.clock.finish(joining)
    return { sim, store, served, atBroker, atStore }
  }

  test('messages and changes of a kind that is not known are passed over', async () => {
    const { sim, served, store, atBroker, atStore } = await joined()
    atBroker.received({ kind: 'weather', sunny: true } as unknown as ToBroker)
    atStore.received({ kind: 'weather' } as unknown as ToStore)
    const changes = [{ kind: 'topic-renamed' }, { kind: 'broker-settings-changed', settings: { a: '1' } }]
    atBroker.received({ kind: 'changes', changes } as unknown as ToBroker)
    expect(served.brokerSettings()).toEqual({ a: '1' })
    await sim.clock.finish(served.registerBroker(startOf(1)))
    const topic = made(await sim.clock.finish(served.createTopics([wanted('t')])))
    await live(served, topic, work => sim.clock.finish(work))
    expect(served.topics()).toEqual(store.topics())
  })

  test('what is not known of a topic and of a broker goes along, and comes back', async () => {
    const { sim, served, store } = await joined()
    const start = { ...startOf(1), zeal: 9 }
    await sim.clock.finish(served.registerBroker(start))
    expect(store.brokers().get(brokerId(1))).toMatchObject({ zeal: 9 })
    const topic = made(await sim.clock.finish(store.createTopics([wanted('t')])))
    await sim.clock.runFor(10)
    const [now] = topic.tablets
    if (now === undefined) throw new Error('no tablet')
    const [test, more] = [{ epoch: now.epoch, version: 0 }, { shade: 'blue' }]
    const change = { tablet: 0, test, to: { ...now, ...more, version: 1 } }
    await sim.clock.finish(store.changeTablets(topic.id, [change]))
    await sim.clock.runFor(10)
    const seen = served.topicById(topic.id)
    if (seen === undefined) throw new Error('no topic')
    await live(served, seen, work => sim.clock.finish(work))
    expect(store.topicById(topic.id)?.tablets[0]).toMatchObject(more)
  })

  test('a question that is not known is refused, and so is what only sounds like one', async () => {
    const { sim, atBroker, atStore } = await joined()
    const answers: ToBroker[] = []
    atBroker.received = message => void answers.push(message)
    for (const method of ['renameTopic', 'close'])
      atStore.received({ kind: 'question', number: 7, method, args: [] } as unknown as ToStore)
    await sim.clock.runFor(10)
    const refused = expect.objectContaining({ error: 'refusal', code: 'UNSUPPORTED_VERSION' })
    expect(answers.filter(({ kind }) => kind === 'error')).toEqual([
      { kind: 'error', number: 7, error: refused },
      { kind: 'error', number: 7, error: refused },
    ])
  })

  test('a refusal with a code that is not known is one, with its sentence', async () => {
    const { sim, served, atStore } = await joined()
    const { received } = atStore
    atStore.received = message => {
      if (message.kind !== 'question') return received(message)
      const error = { error: 'refusal', code: 'TOO_TIRED', message: 'it is late' }
      atStore.send({ kind: 'error', number: message.number, error } as unknown as ToBroker)
    }
    await expect(sim.clock.finish(served.deleteTopic('t', 'x'))).rejects.toMatchObject({
      code: 'UNKNOWN_SERVER_ERROR',
      message: 'it is late',
    })
  })
})

describe('fetches between brokers', () => {
  const more = string.default('').tagged(9, 17)
  const next = api({
    key: 1,
    name: 'Fetch',
    versions: '17-17',
    flexible: '12+',
    request: {
      ...replicaFetch.request,
      replicaState: struct({ replicaId: int32, replicaEpoch: int64, more }).tagged(1, 15),
      forgottenTopicsData: array({ topicId: uuid, partitions: array(int32), more }),
      more,
    },
    response: { ...replicaFetch.response, more },
  })

  test('are read with tags that are not known', () => {
    const writer = new Writer(256)
    const forgotten = { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions: [4] }
    const body = {
      replicaState: { replicaId: 2, replicaEpoch: 5, more: 'of it' },
      maxWaitMs: 1,
      minBytes: 1,
      sessionId: 3,
      topics: [],
      forgottenTopicsData: [{ ...forgotten, more: 'of it' }],
      more: 'of it',
    }
    encodeRequest(writer, next, { version: 17, correlationId: 4, clientId: 'next', body })
    expect(readFetch(writer.take().subarray(4))).toMatchObject({
      correlationId: 4,
      body: {
        replicaState: { replicaId: 2, replicaEpoch: 5 },
        sessionId: 3,
        forgottenTopicsData: [forgotten],
      },
    })
    encodeResponse(writer, next, 17, 4, { responses: [], sessionId: 6, more: 'of it' })
    expect(decodeResponse(writer.take().subarray(4), replicaFetch, 17)).toMatchObject({
      correlationId: 4,
      body: { sessionId: 6 },
    })
  })
})

describe('files in a data directory', () => {
  const at = { offset: offset(9), segment: offset(7), position: 13 }

  async function checkpointed() {
    const sim = simWorld({ seed: 4 })
    sim.world.disk.makeDirectory('/data')
    const { checkpoints } = Checkpoints.open(sim.world.disk, '/data')
    await sim.clock.finish(checkpoints.setRecoveryPoint('a', at))
    const rewrite = (change: (body: string) => string): void => {
      const text = textIn(sim, '/data/recovery-point.json')
      const body = change(text.slice(0, text.lastIndexOf(',"crc32c":')))
      put(sim, '/data/recovery-point.json', `${body},"crc32c":${crc32c(Buffer.from(body))}}\n`)
    }
    return { sim, rewrite, open: () => Checkpoints.open(sim.world.disk, '/data') }
  }

  test('checkpoints are read with more in them', async () => {
    const { rewrite, open } = await checkpointed()
    const before = open().checkpoints.of('a')
    rewrite(body => body.replace('"tablets":', '"mood":"good","tablets":').replace(']', ',[1],"x"]'))
    const { checkpoints, damaged } = open()
    expect([checkpoints.of('a'), damaged]).toEqual([before, false])
  })

  test('checkpoints of a newer format are no damage to go on with: the broker does not start', async () => {
    const { rewrite, open } = await checkpointed()
    rewrite(body => body.replace('"version":1', '"version":2'))
    expect(open).toThrow(DataDirectoryRefused)
    expect(open).toThrow(/recovery-point\.json has format 2.*Start the newer Stele/)
  })

  test('what can be made again from the log is, when its format is another', async () => {
    const sim = simWorld({ seed: 5 })
    const { disk } = sim.world
    disk.makeDirectory('/t')
    const epochs = LeaderEpochs.none(disk, '/t')
    epochs.seen(3 as Epoch, offset(0))
    await sim.clock.finish(epochs.save())
    await sim.clock.finish(new Producers().save(disk, '/t', offset(5), 0))
    const clean = CleanState.open(disk, '/t')
    clean.cleaned = offset(4)
    await sim.clock.finish(clean.save(offset(0)))
    const files = ['leader-epochs.json', 'compaction.json', '00000000000000000005.snapshot']
    const read = () => [
      LeaderEpochs.open(disk, '/t')?.latest,
      CleanState.open(disk, '/t').cleaned,
      Producers.open(disk, '/t', offset(5), 0)?.count,
    ]
    for (const name of files)
      put(sim, `/t/${name}`, textIn(sim, `/t/${name}`).replace('{', '{"mood":"good",'))
    expect(read()).toEqual([3, 4, 0])
    for (const name of files)
      put(sim, `/t/${name}`, textIn(sim, `/t/${name}`).replace('"version":1', '"version":2'))
    expect(read()).toEqual([undefined, undefined, undefined])
  })

  test('whose disk it is, and since when: more is passed over, a newer format is refused', () => {
    const sim = simWorld({ seed: 6 })
    const open = () => DataDirectory.open(sim.world, '/data', brokerId(1))
    const directory = open()
    expect(directory.since(incarnation(4))).toBe(4)
    for (const name of ['meta.json', 'first-run.json'])
      put(sim, `/data/${name}`, textIn(sim, `/data/${name}`).replace('{', '{"mood":"good",'))
    directory.release()
    const again = open()
    expect(again.meta).toMatchObject({ diskId: directory.meta.diskId })
    expect(again.since(incarnation(5))).toBe(4)
    put(sim, '/data/first-run.json', '{"version":2,"runs":[4]}')
    expect(() => again.since(incarnation(5))).toThrow(/first-run\.json has format 2/)
    put(sim, '/data/first-run.json', '{"vers')
    expect(() => again.since(incarnation(5))).toThrow(DataDirectoryRefused)
    again.release()
    put(
      sim,
      '/data/meta.json',
      textIn(sim, '/data/meta.json').replace('"formatVersion": 1', '"formatVersion": 2'),
    )
    expect(open).toThrow(/has format 2/)
  })

  test('a cluster that grows keeps what is not known of it', () => {
    const sim = simWorld({ seed: 7 })
    openClusterDirectory(sim.world, '/all', 3).release()
    put(sim, '/all/control.json', '')
    put(sim, '/all/cluster.json', textIn(sim, '/all/cluster.json').replace('{', '{"mood":"good",'))
    openClusterDirectory(sim.world, '/all', 4).release()
    expect(jsonIn(sim, '/all/cluster.json')).toMatchObject({ mood: 'good', brokers: 4 })
  })
})

describe('a broker that is too old', () => {
  const other = (needs?: number): Broker => ({
    ...startOf(2),
    incarnation: incarnation(3),
    ...(needs !== undefined && { needs }),
  })

  test('joins whom it understands', () => {
    expect(() => mayJoin([other(), other(1)])).not.toThrow()
    expect(() => mayJoin([other(), other(2)])).toThrow(/too old for the cluster: broker 2.*newer Stele/)
  })

  test('does not start, and changes nothing', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'stele-versions-'))
    const start = () =>
      startBroker({
        dataDirectory: directory,
        kafka: '127.0.0.1:0',
        http: '127.0.0.1:0',
        settings: { 'broker.id': '1' },
        log: pino({ level: 'silent' }),
        version: 'test',
      })
    try {
      await (await start()).stop()
      const path = join(directory, 'control.json')
      const store = openEmbeddedStore({ disk: realDisk, random: { bytes: randomBytes }, path })
      await store.registerBroker({ ...other(9) })
      const before = readFileSync(path)
      await expect(start()).rejects.toThrow(/broker 2.*level 9/)
      expect(readFileSync(path)).toEqual(before)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
