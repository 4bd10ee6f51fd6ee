/**
 * What every control store does, whatever keeps it. In comes a way to open one that is empty, out go tests; it always holds
 * that what a store has answered is still there when it is opened again.
 */
import { describe, expect, test, vi } from 'vitest'
import * as fc from 'fast-check'
import { brokerId, incarnation } from '../../base/quantities.ts'
import { Refusal } from '../../base/refusals.ts'
import { claimLeadership } from '../../control/model.ts'
import type { TabletAssignment, TabletChange, Topic } from '../../control/model.ts'
import type { ControlEvent, ControlStore } from '../../control/store.ts'
import { controlStoreModel } from './control-store.model.ts'
import { created, startOf, stateOf, wanted, withBrokers } from './control-store.opened.ts'
import type { Open } from './control-store.opened.ts'

const places = (...replicas: number[][]) =>
  replicas.map((ids, tablet) => ({ tablet, replicas: ids.map(brokerId) }))

const refusal = (code: string) => expect.objectContaining({ name: 'Refusal', code })

function bump(topic: Topic, tablet: number, more: Partial<TabletAssignment> = {}): TabletChange {
  const now = topic.tablets[tablet]
  if (now === undefined) throw new Error(`no tablet ${tablet}`)
  const { epoch, version } = now
  return { tablet, test: { epoch, version }, to: { ...now, ...more, version: version + 1 } }
}

export function controlStoreContract(name: string, open: Open): void {
  describe(`control store: ${name}`, () => {
    topicsContract(open)
    tabletsContract(open)
    settingsContract(open)
    guardedContract(open)
    brokersContract(open)
    watchContract(open)
    test('behaves as a simple model does, opened again or not', { timeout: 60_000 }, async () => {
      await expect(fc.assert(controlStoreModel(open), { numRuns: 25 })).resolves.toBeUndefined()
    })
  })
}

function topicsContract(open: Open): void {
  test('is empty at first', async () => {
    const { store } = await open()
    expect(stateOf(store)).toEqual({ topics: [], brokers: [], settings: {} })
    expect(store.topicById('nobody')).toBeUndefined()
  })

  test('makes a topic that is there at once and when opened again', async () => {
    const { store, reopen } = await withBrokers(open, 1)
    const settings = { 'retention.ms': '1000' }
    const [topic] = await store.createTopics([{ name: 'orders', settings, tablets: 3, replication: 1 }])
    const tablet = {
      epoch: 0,
      version: 0,
      leader: 1,
      replicas: [1],
      adding: [],
      removing: [],
      isr: [{ broker: 1, incarnation: 1 }],
    }
    const id = expect.stringMatching(/^[\w-]{21}[a-zA-Z0-9]$/)
    expect(topic).toEqual({ name: 'orders', id, settings, tablets: [tablet, tablet, tablet] })
    expect(store.topics().get('orders')).toEqual(topic)
    expect(store.topicById((topic as Topic).id)).toEqual(topic)
    const before = stateOf(store)
    const again = (await reopen()).store
    expect(stateOf(again)).toEqual(before)
    expect(again.topicById((topic as Topic).id)).toEqual(topic)
  })

  test('refuses what cannot be made, and makes the rest of the request', async () => {
    const { store } = await withBrokers(open, 2)
    await created(store, wanted('a.b'))
    const answers = await store.createTopics([
      wanted('my topic!'),
      wanted('a.b'),
      wanted('a_b'),
      wanted('none', 0),
      wanted('billions', 2 ** 31 - 1),
      wanted('wide', 1, 3),
      wanted('thin', 1, 0),
      { name: 'm1', settings: {}, assignment: places([1, 2], [3, 1]) },
      { name: 'm2', settings: {}, assignment: places([1, 1]) },
      { name: 'm3', settings: {}, assignment: places([1, 2], [1]) },
      { name: 'm4', settings: {}, assignment: places([]) },
      { name: 'm5', settings: {}, assignment: [{ tablet: 1, replicas: [brokerId(1)] }] },
      { name: 'm6', settings: {}, assignment: [] },
      wanted('fine'),
      wanted('fine'),
    ])
    expect(answers.map(answer => (answer instanceof Refusal ? answer.code : answer.name))).toEqual([
      'INVALID_TOPIC_EXCEPTION',
      'TOPIC_ALREADY_EXISTS',
      'INVALID_TOPIC_EXCEPTION',
      'INVALID_PARTITIONS',
      'INVALID_PARTITIONS',
      'INVALID_REPLICATION_FACTOR',
      'INVALID_REPLICATION_FACTOR',
      'INVALID_REPLICA_ASSIGNMENT',
      'INVALID_REPLICA_ASSIGNMENT',
      'INVALID_REPLICA_ASSIGNMENT',
      'INVALID_REPLICA_ASSIGNMENT',
      'INVALID_REPLICA_ASSIGNMENT',
      'INVALID_PARTITIONS',
      'fine',
      'TOPIC_ALREADY_EXISTS',
    ])
    expect([...store.topics().keys()].sort()).toEqual(['a.b', 'fine'])
  })

  test('makes a bounded number of tablets in one call', async () => {
    const { store } = await withBrokers(open, 1)
    const answers = await store.createTopics([wanted('a', 6_000), wanted('b', 6_000), wanted('c', 4_000)])
    expect(answers.map(answer => (answer instanceof Refusal ? answer.code : answer.name))).toEqual([
      'a',
      'POLICY_VIOLATION',
      'c',
    ])
  })

  test('puts tablets where a user has said', async () => {
    const { store } = await withBrokers(open, 3)
    const topic = await created(store, {
      name: 'orders',
      settings: {},
      assignment: [
        { tablet: 1, replicas: [brokerId(3), brokerId(1)] },
        { tablet: 0, replicas: [brokerId(2), brokerId(3)] },
      ],
    })
    expect(topic.tablets.map(({ leader, replicas }) => ({ leader, replicas }))).toEqual([
      { leader: 2, replicas: [2, 3] },
      { leader: 3, replicas: [3, 1] },
    ])
  })

  test('makes nothing when it shall only validate', async () => {
    const { store } = await withBrokers(open, 1)
    const events: ControlEvent[] = []
    store.watch(event => events.push(event))
    const answers = await store.createTopics([wanted('good', 2), wanted('bad', 0)], { validateOnly: true })
    expect(answers).toEqual([expect.objectContaining({ name: 'good' }), refusal('INVALID_PARTITIONS')])
    expect(store.topics().size).toBe(0)
    expect(events).toEqual([])
  })

  test('deletes the topic that is meant, and another of the same name has another id', async () => {
    const { store, reopen } = await withBrokers(open, 1)
    const first = await created(store, wanted('orders'))
    await expect(store.deleteTopic('order', first.id)).rejects.toEqual(refusal('UNKNOWN_TOPIC_OR_PARTITION'))
    await store.deleteTopic('orders', first.id)
    expect(store.topics().has('orders')).toBe(false)
    expect(store.topicById(first.id)).toBeUndefined()
    const second = await created(store, wanted('orders'))
    expect(second.id).not.toBe(first.id)
    await expect(store.deleteTopic('orders', first.id)).rejects.toEqual(refusal('UNKNOWN_TOPIC_ID'))
    expect((await reopen()).store.topics().get('orders')).toEqual(second)
  })

  test('of many calls at once for the same name one makes the topic', async () => {
    const { store } = await withBrokers(open, 1)
    const answers = await Promise.all(Array.from({ length: 8 }, () => store.createTopics([wanted('orders')])))
    const made = answers.flat().filter(answer => !(answer instanceof Refusal))
    expect(made).toEqual([store.topics().get('orders')])
  })

  test('a snapshot does not change under its reader', async () => {
    const { store } = await withBrokers(open, 1)
    const before = store.topics()
    await created(store, wanted('orders'))
    expect(before.size).toBe(0)
    expect(store.topics().size).toBe(1)
  })
}

function tabletsContract(open: Open): void {
  test('adds tablets and leaves the others as they are', async () => {
    const { store, reopen } = await withBrokers(open, 2)
    const topic = await created(store, wanted('orders', 2, 2))
    const grown = await store.addTablets(topic.id, 4)
    expect(grown.tablets).toHaveLength(4)
    expect(grown.tablets.slice(0, 2)).toEqual(topic.tablets)
    expect(grown.tablets.slice(2).every(tablet => tablet.replicas.length === 2)).toBe(true)
    const again = await store.addTablets(topic.id, 5, { replicas: [[brokerId(2), brokerId(1)]] })
    expect(again.tablets[4]?.replicas).toEqual([2, 1])
    expect((await reopen()).store.topics().get('orders')).toEqual(again)
  })

  test('refuses to shrink, to stay, and brokers that do not fit', async () => {
    const { store } = await withBrokers(open, 2)
    const topic = await created(store, wanted('orders', 2))
    for (const total of [0, 1, 2, 1e9]) {
      await expect(store.addTablets(topic.id, total)).rejects.toEqual(refusal('INVALID_PARTITIONS'))
    }
    for (const replicas of [
      [],
      [[brokerId(9)]],
      [[brokerId(1)], [brokerId(2)]],
      [[brokerId(1), brokerId(2)]],
    ]) {
      await expect(store.addTablets(topic.id, 3, { replicas })).rejects.toEqual(
        refusal('INVALID_REPLICA_ASSIGNMENT'),
      )
    }
    await expect(store.addTablets('nobody', 3)).rejects.toEqual(refusal('UNKNOWN_TOPIC_ID'))
    const validated = await store.addTablets(topic.id, 3, { validateOnly: true })
    expect(validated.tablets).toHaveLength(3)
    expect(store.topics().get('orders')).toEqual(topic)
  })
}

function settingsContract(open: Open): void {
  test("alters a topic's settings", async () => {
    const { store, reopen } = await withBrokers(open, 1)
    const topic = await created(store, {
      ...wanted('orders'),
      settings: { 'retention.ms': '1', 'retention.bytes': '2' },
    })
    const altered = await store.alterTopicSettings(topic.id, {
      set: { 'retention.ms': '3', 'index.interval.bytes': '4' },
      unset: ['retention.bytes', 'never'],
    })
    expect(altered).toEqual({ ...topic, settings: { 'retention.ms': '3', 'index.interval.bytes': '4' } })
    await expect(store.alterTopicSettings('nobody', { set: {}, unset: [] })).rejects.toEqual(
      refusal('UNKNOWN_TOPIC_ID'),
    )
    expect((await reopen()).store.topicById(topic.id)).toEqual(altered)
  })

  test('alters the settings of all brokers', async () => {
    const { store, reopen } = await open()
    await store.alterBrokerSettings({
      set: { 'log.retention.ms': '1', 'log.retention.bytes': '2' },
      unset: [],
    })
    await store.alterBrokerSettings({ set: { 'log.index.interval.bytes': '3' }, unset: ['log.retention.ms'] })
    expect(store.brokerSettings()).toEqual({ 'log.retention.bytes': '2', 'log.index.interval.bytes': '3' })
    expect((await reopen()).store.brokerSettings()).toEqual({
      'log.retention.bytes': '2',
      'log.index.interval.bytes': '3',
    })
  })
}

function guardedContract(open: Open): void {
  test('keeps what replicas say they hold and the owner’s word, until the next epoch', async () => {
    const { store, reopen } = await withBrokers(open, 2)
    const topic = await created(store, wanted('orders', 2, 2))
    const [run, later] = [incarnation(1), incarnation(7)]
    const found = [
      { broker: brokerId(1), incarnation: later, epoch: -1, end: 0, trouble: 'lost' as const },
      { broker: brokerId(2), incarnation: run, epoch: 3, end: 2 ** 40 },
    ]
    expect(await store.changeTablets(topic.id, [bump(topic, 1, { found, unclean: true })])).toBe('changed')
    const said = store.topicById(topic.id)
    expect(said?.tablets[1]).toMatchObject({ found, unclean: true })
    const again = (await reopen()).store
    expect(again.topicById(topic.id)).toEqual(said)
    const claim = claimLeadership(1, said?.tablets[1] ?? bump(topic, 1).to, {
      broker: brokerId(2),
      incarnation: run,
    })
    expect(await again.changeTablets(topic.id, [claim])).toBe('changed')
    expect(Object.keys(again.topicById(topic.id)?.tablets[1] ?? {})).not.toContain('found')
    expect(Object.keys(again.topicById(topic.id)?.tablets[1] ?? {})).not.toContain('unclean')
  })

  test('changes a tablet that is as the test says, and refuses otherwise', async () => {
    const { store, reopen } = await withBrokers(open, 2)
    const topic = await created(store, wanted('orders', 2, 2))
    const change = bump(topic, 1, { isr: topic.tablets[1]?.isr.slice(0, 1) ?? [] })
    expect(await store.changeTablets(topic.id, [change])).toBe('changed')
    expect(store.topics().get('orders')?.tablets).toEqual([topic.tablets[0], change.to])
    expect(await store.changeTablets(topic.id, [change])).toBe('refused')
    expect(await store.changeTablets('nobody', [change])).toBe('refused')
    expect(await store.changeTablets(topic.id, [{ ...change, tablet: 9 }])).toBe('refused')
    expect((await reopen()).store.topics().get('orders')?.tablets).toEqual([topic.tablets[0], change.to])
  })

  test('changes all tablets of one call or none', async () => {
    const { store } = await withBrokers(open, 1)
    const topic = await created(store, wanted('orders', 3))
    expect(await store.changeTablets(topic.id, [bump(topic, 1)])).toBe('changed')
    const now = store.topicById(topic.id)
    expect(await store.changeTablets(topic.id, [bump(topic, 0), bump(topic, 1)])).toBe('refused')
    expect(store.topicById(topic.id)).toEqual(now)
    expect(await store.changeTablets(topic.id, [bump(topic, 0), bump(topic, 2)])).toBe('changed')
    expect(store.topicById(topic.id)?.tablets.map(({ version }) => version)).toEqual([1, 1, 1])
  })

  test('a change of an older topic of the same name is refused', async () => {
    const { store } = await withBrokers(open, 1)
    const first = await created(store, wanted('orders'))
    await store.deleteTopic('orders', first.id)
    const second = await created(store, wanted('orders'))
    expect(await store.changeTablets(first.id, [bump(first, 0)])).toBe('refused')
    expect(store.topicById(second.id)).toEqual(second)
  })

  test('of racing claims with the same test exactly one wins, in each epoch', async () => {
    const { store } = await withBrokers(open, 3)
    const { id } = await created(store, wanted('orders', 1, 3))
    for (let round = 1; round <= 5; round++) {
      const [now] = store.topicById(id)?.tablets ?? []
      if (now === undefined) throw new Error('the tablet is gone')
      const claims = now.replicas.map(broker =>
        claimLeadership(0, now, { broker, incarnation: incarnation(1) }),
      )
      const answers = await Promise.all(claims.map(claim => store.changeTablets(id, [claim])))
      expect(answers.toSorted()).toEqual(['changed', 'refused', 'refused'])
      expect(store.topicById(id)?.tablets).toEqual([claims[answers.indexOf('changed')]?.to])
      expect(store.topicById(id)?.tablets[0]?.epoch).toBe(round)
    }
  })

  test('a change that could never be right is a bug', async () => {
    const { store } = await withBrokers(open, 1)
    const topic = await created(store, wanted('orders', 70))
    const good = bump(topic, 0)
    const bugs: TabletChange[][] = [
      [],
      [good, good],
      [good, bump(topic, 64)],
      [{ ...good, to: { ...good.to, version: 0 } }],
      [bump(topic, 0, { isr: [] })],
      [bump(topic, 0, { replicas: [] })],
      [bump(topic, 0, { epoch: 2 as TabletAssignment['epoch'] })],
    ]
    for (const bug of bugs) {
      await expect(store.changeTablets(topic.id, bug)).rejects.toMatchObject({ name: 'InvariantViolation' })
    }
    expect(store.topicById(topic.id)).toEqual(topic)
  })
}

function brokersContract(open: Open): void {
  test('each start of a broker is one run further, and knows the run before', async () => {
    const { store, reopen } = await open()
    expect(await store.registerBroker(startOf(7))).toEqual({ incarnation: 1, before: undefined })
    const again = (await reopen()).store
    const start = { ...startOf(7), diskId: 'other', cleanStop: false, bootId: undefined, rack: 'east' }
    expect(await again.registerBroker(start)).toEqual({
      incarnation: 2,
      before: { ...startOf(7), incarnation: 1 },
    })
    expect(await again.registerBroker(startOf(8))).toEqual({ incarnation: 1, before: undefined })
    expect(again.brokers().get(brokerId(7))).toEqual({ ...start, incarnation: 2 })
  })

  test('takes addresses from the run that counts only', async () => {
    const { store, reopen } = await open()
    const { incarnation: first } = await store.registerBroker(startOf(1))
    const { incarnation: second } = await store.registerBroker(startOf(1))
    const addresses = { http: { host: 'example.test', port: 80 } }
    const late = store.announceAddresses(brokerId(1), first, {})
    await expect(late).rejects.toEqual(refusal('INVALID_REQUEST'))
    await expect(store.announceAddresses(brokerId(2), first, {})).rejects.toEqual(refusal('INVALID_REQUEST'))
    await store.announceAddresses(brokerId(1), second, addresses)
    expect(store.brokers().get(brokerId(1))?.addresses).toEqual(addresses)
    expect((await reopen()).store.brokers().get(brokerId(1))?.addresses).toEqual(addresses)
  })

  test('a run that leaves says so to all, and the next one does not', async () => {
    const { store, reopen } = await withBrokers(open, 2)
    const { incarnation: run } = await store.registerBroker(startOf(1))
    const events: ControlEvent[] = []
    store.watch(event => events.push(event))
    const leaves = (of: ControlStore) => [1, 2].map(id => of.brokers().get(brokerId(id))?.leaving)
    await store.leaving(brokerId(1), incarnation(run - 1))
    expect([leaves(store), events]).toEqual([[undefined, undefined], []])
    await store.leaving(brokerId(1), run)
    expect(leaves(store)).toEqual([true, undefined])
    expect(events).toEqual([
      { kind: 'broker-changed', broker: { ...startOf(1), incarnation: run, leaving: true } },
    ])
    const again = (await reopen()).store
    expect(leaves(again)).toEqual([true, undefined])
    await again.registerBroker(startOf(1))
    expect(leaves(again)).toEqual([undefined, undefined])
  })
}

function watchContract(open: Open): void {
  test('tells of every change in order, and of none after it was stopped', async () => {
    const { store } = await open()
    const events: ControlEvent[] = []
    const stop = store.watch(event => events.push(event))
    await store.registerBroker(startOf(1))
    const topic = await created(store, wanted('orders'))
    const altered = await store.alterTopicSettings(topic.id, { set: { 'retention.ms': '1' }, unset: [] })
    const change = bump(altered, 0)
    await store.changeTablets(topic.id, [change])
    await store.changeTablets(topic.id, [change])
    await store.alterBrokerSettings({ set: { 'log.retention.bytes': '2' }, unset: [] })
    await store.deleteTopic('orders', topic.id)
    const changed = { ...altered, tablets: [change.to] }
    const told = [
      { kind: 'broker-changed', broker: { ...startOf(1), incarnation: 1 } },
      { kind: 'topic-created', topic },
      { kind: 'topic-changed', topic: altered, before: topic },
      { kind: 'topic-changed', topic: changed, before: altered },
      { kind: 'broker-settings-changed', settings: { 'log.retention.bytes': '2' } },
      { kind: 'topic-deleted', topic: changed },
    ]
    await vi.waitFor(() => expect(events).toEqual(told))
    stop()
    await store.registerBroker(startOf(1))
    expect(events).toEqual(told)
  })

  test('the reads show what an event tells, and a listener may ask for more', async () => {
    const { store } = await withBrokers(open, 1)
    const { promise: asked, resolve } = Promise.withResolvers<Topic>()
    store.watch(event => {
      if (event.kind !== 'topic-created') return
      const { id } = event.topic
      const seen = String(store.topicById(id)?.tablets.length)
      resolve(store.alterTopicSettings(id, { set: { 'retention.ms': seen }, unset: [] }))
    })
    await created(store, wanted('orders'))
    expect((await asked).settings).toEqual({ 'retention.ms': '1' })
  })
}
