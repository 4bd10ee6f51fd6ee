/**
 * A control store beside a model of it: random calls in, several at once, with the store opened again in between; a
 * fast-check property out. It always holds that both tell the same.
 */
import * as fc from 'fast-check'
import { expect } from 'vitest'
import { unreachable } from '../../base/assert.ts'
import { Refusal } from '../../base/refusals.ts'
import type { Topic } from '../../control/model.ts'
import type { ControlStore } from '../../control/store.ts'
import { startOf } from './control-store.opened.ts'
import type { Open } from './control-store.opened.ts'

/** What the model knows: each topic's settings and its tablets' versions; the brokers' settings and runs. */
type Model = {
  topics: Record<string, { settings: Record<string, string>; versions: number[] }>
  settings: Record<string, string>
  runs: Record<string, number>
}

type Call =
  | { readonly do: 'create'; readonly name: string; readonly tablets: number }
  | { readonly do: 'delete' | 'touch'; readonly name: string }
  | { readonly do: 'grow'; readonly name: string; readonly tablets: number }
  | { readonly do: 'alter'; readonly name: string; readonly key: string; readonly value: string }
  | { readonly do: 'configure'; readonly key: string; readonly value: string }
  | { readonly do: 'register'; readonly broker: number }

const name = fc.constantFrom('a', 'b', 'c.d', 'c_d', 'bad name')
const topicKey = fc.constantFrom('retention.ms', 'retention.bytes')
const brokerKey = fc.constantFrom('log.retention.ms', 'log.retention.bytes')
/** An empty value means to unset. */
const value = fc.constantFrom('', '1', '2')
const tablets = fc.integer({ min: 0, max: 5 })

const call: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ do: fc.constant('create' as const), name, tablets }),
  fc.record({ do: fc.constantFrom('delete' as const, 'touch' as const), name }),
  fc.record({ do: fc.constant('grow' as const), name, tablets }),
  fc.record({ do: fc.constant('alter' as const), name, key: topicKey, value }),
  fc.record({ do: fc.constant('configure' as const), key: brokerKey, value }),
  fc.record({ do: fc.constant('register' as const), broker: fc.integer({ min: 1, max: 3 }) }),
)

/** Calls of one step are made at once; a step of none opens the store again. */
const steps = fc.array(fc.array(call, { maxLength: 4 }), { maxLength: 12 })

export const controlStoreModel = (open: Open) =>
  fc.asyncProperty(steps, async steps => {
    let opened = await open()
    const model: Model = { topics: {}, settings: {}, runs: {} }
    await opened.store.registerBroker(startOf(1))
    applyToModel(model, { do: 'register', broker: 1 })
    for (const step of steps) {
      if (step.length === 0) opened = await opened.reopen()
      else await compareStep(opened.store, model, step)
      expect(asModel(opened.store)).toEqual(model)
    }
  })

/** Calls made at once on different things commute; on the same topic they are kept apart, as ids are read before. */
async function compareStep(store: ControlStore, model: Model, step: readonly Call[]): Promise<void> {
  const told = new Set<string>()
  const apart = step.filter(one => {
    const thing = 'name' in one ? one.name.replace('.', '_') : one.do
    return told.size < told.add(thing).size
  })
  const answers = await Promise.all(apart.map(one => applyToStore(store, one)))
  expect(answers).toEqual(apart.map(one => applyToModel(model, one)))
}

/** Whether the call was granted. */
async function applyToStore(store: ControlStore, call: Call): Promise<boolean> {
  try {
    return await ask(store, call)
  } catch (error) {
    if (error instanceof Refusal) return false
    throw error
  }
}

async function ask(store: ControlStore, call: Call): Promise<boolean> {
  const id = ('name' in call ? store.topics().get(call.name)?.id : undefined) ?? 'nobody'
  switch (call.do) {
    case 'create': {
      const [answer] = await store.createTopics([{ ...call, settings: {}, replication: 1 }])
      return !(answer instanceof Refusal)
    }
    case 'delete':
      await store.deleteTopic(call.name, id)
      return true
    case 'touch':
      return (await store.changeTablets(id, [nextVersion(store.topicById(id))])) === 'changed'
    case 'grow':
      await store.addTablets(id, call.tablets)
      return true
    case 'alter':
      await store.alterTopicSettings(id, settingsChange(call))
      return true
    case 'configure':
      await store.alterBrokerSettings(settingsChange(call))
      return true
    case 'register':
      await store.registerBroker(startOf(call.broker))
      return true
    default:
      return unreachable(call)
  }
}

const settingsChange = ({ key, value }: { key: string; value: string }) =>
  value === '' ? { set: {}, unset: [key] } : { set: { [key]: value }, unset: [] }

/** For a topic that is not there, some change that is sound in itself. */
function nextVersion(topic: Topic | undefined) {
  const [now] = topic?.tablets ?? [neverThere]
  if (now === undefined) throw new Error('a topic has tablets')
  const { epoch, version } = now
  return { tablet: 0, test: { epoch, version }, to: { ...now, version: version + 1 } }
}

const neverThere = {
  epoch: 0 as Topic['tablets'][number]['epoch'],
  version: 0,
  leader: undefined,
  replicas: [startOf(1).brokerId],
  adding: [],
  removing: [],
  isr: [],
}

function applyToModel(model: Model, call: Call): boolean {
  const topic = 'name' in call ? model.topics[call.name] : undefined
  switch (call.do) {
    case 'create': {
      const stands = Object.keys(model.topics).some(
        other => other.replace('.', '_') === call.name.replace('.', '_'),
      )
      if (stands || call.name === 'bad name' || call.tablets < 1) return false
      model.topics[call.name] = { settings: {}, versions: Array.from({ length: call.tablets }, () => 0) }
      return true
    }
    case 'delete':
      delete model.topics[call.name]
      return topic !== undefined
    case 'touch':
      if (topic !== undefined) topic.versions = topic.versions.map((n, at) => (at === 0 ? n + 1 : n))
      return topic !== undefined
    case 'grow':
      if (topic === undefined || call.tablets <= topic.versions.length) return false
      while (topic.versions.length < call.tablets) topic.versions.push(0)
      return true
    case 'alter':
      if (topic !== undefined) put(topic.settings, call)
      return topic !== undefined
    case 'configure':
      put(model.settings, call)
      return true
    case 'register':
      model.runs[call.broker] = (model.runs[call.broker] ?? 0) + 1
      return true
    default:
      return unreachable(call)
  }
}

function put(settings: Record<string, string>, { key, value }: { key: string; value: string }): void {
  if (value === '') delete settings[key]
  else settings[key] = value
}

function asModel(store: ControlStore): Model {
  const topics = [...store.topics().values()].map(({ name, settings, tablets }) => [
    name,
    { settings: { ...settings }, versions: tablets.map(tablet => tablet.version) },
  ])
  const runs = [...store.brokers().values()].map(broker => [String(broker.brokerId), broker.incarnation])
  return {
    topics: Object.fromEntries(topics),
    settings: { ...store.brokerSettings() },
    runs: Object.fromEntries(runs),
  }
}
