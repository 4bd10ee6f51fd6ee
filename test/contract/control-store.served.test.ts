/** The control store that another process keeps, over a channel that copies what goes over it as one between processes does. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { brokerId } from '../../base/quantities.ts'
import { realClock } from '../../broker/world/clock.ts'
import { realDisk } from '../../broker/world/disk.ts'
import { openEmbeddedStore } from '../../control/embedded/store.ts'
import type { Channel, ToBroker, ToStore } from '../../control/served/messages.ts'
import { StoreServer } from '../../control/served/server.ts'
import { joinStore } from '../../control/served/store.ts'
import type { ControlStore } from '../../control/store.ts'
import { SimClock } from '../sim/clock.ts'
import { controlStoreContract } from './control-store.ts'
import { startOf, wanted, type Opened } from './control-store.opened.ts'

const root = mkdtempSync(join(tmpdir(), 'stele-served-'))
afterAll(() => rmSync(root, { recursive: true }))
const newPath = () => join(mkdtempSync(join(root, 'data-')), 'control.json')
const openAt = (path: string) => openEmbeddedStore({ disk: realDisk, random: { bytes: randomBytes }, path })

class Wire {
  /** Whether what is sent arrives. */
  open = true
  readonly atStore: Channel<ToBroker, ToStore>
  readonly atBroker: Channel<ToStore, ToBroker>

  constructor(later: (act: () => void) => void = setImmediate) {
    const end = <Out, In>(other: () => Channel<In, Out>): Channel<Out, In> => ({
      send: (message, sent) => {
        const bytes = serialize(message)
        later(() => {
          if (this.open) other().received(deserialize(bytes) as Out)
          sent?.()
        })
      },
      received: () => undefined,
      ended: () => undefined,
    })
    this.atStore = end<ToBroker, ToStore>(() => this.atBroker)
    this.atBroker = end<ToStore, ToBroker>(() => this.atStore)
  }

  cut(): void {
    this.open = false
    this.atStore.ended()
    this.atBroker.ended()
  }
}

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function opened(path: string): Promise<Opened> {
  const store = openAt(path)
  const server = new StoreServer({ clusterId: 'c', complete: Promise.resolve(), store, clock: realClock })
  const wire = new Wire()
  const joined = joinStore(wire.atBroker, realClock)
  server.serve(brokerId(1), wire.atStore)
  const served = (await joined).store
  const close = async () => {
    await served.close()
    server.stop()
    await store.close()
  }
  ends.push(close)
  return {
    store: served,
    async reopen() {
      await close()
      ends.splice(ends.indexOf(close), 1)
      return opened(path)
    },
  }
}

controlStoreContract('kept by another process', async () => opened(newPath()))

describe('with time in our hands', () => {
  async function three() {
    const clock = new SimClock(Date.UTC(2026, 0, 1))
    const at = clock.clockOf({ alive: true, paused: false })
    const store = openAt(newPath())
    const server = new StoreServer({ clusterId: 'c', complete: Promise.resolve(), store, clock: at })
    ends.push(() => server.stop())
    const members: { wire: Wire; store: ControlStore; process: { alive: boolean } }[] = []
    for (const id of [0, 1, 2]) {
      await store.registerBroker(startOf(id))
      const process = { alive: true }
      const wire = new Wire(act => at.after(0.1, act))
      const joined = joinStore(wire.atBroker, clock.clockOf(process))
      server.serve(brokerId(id), wire.atStore)
      await clock.runFor(1)
      members.push({ wire, store: (await joined).store, process })
    }
    return { clock, members, at, store }
  }

  test('a broker that says nothing is silent after its time, and not when it speaks again', async () => {
    const { clock, members } = await three()
    const [zero, one] = members
    await clock.runFor(10_000)
    expect(one?.store.isSilent(brokerId(0))).toBe(false)
    if (zero) zero.wire.open = false
    await clock.runFor(2_400)
    expect(one?.store.isSilent(brokerId(0))).toBe(false)
    await clock.runFor(1_700)
    expect(one?.store.isSilent(brokerId(0))).toBe(true)
    if (zero) zero.wire.open = true
    await clock.runFor(1_100)
    expect(one?.store.isSilent(brokerId(0))).toBe(false)
  })

  test('a broker whose process has ended is silent at once', async () => {
    const { clock, members } = await three()
    members[0]?.wire.cut()
    await clock.runFor(1)
    expect(members[1]?.store.isSilent(brokerId(0))).toBe(true)
    expect(members[1]?.store.isSilent(brokerId(2))).toBe(false)
    // One that nobody knows, as in a record that was edited by hand.
    expect(members[1]?.store.isSilent(brokerId(77))).toBe(true)
  })

  test('who hears nothing of the store calls nobody silent, and its changes are unknown', async () => {
    const { clock, members, store } = await three()
    const [topic] = await store.createTopics([wanted('t', 1, 3)])
    await clock.runFor(10)
    const [zero, one, two] = members
    const tablets = zero?.store.topics().get('t')?.tablets
    expect(tablets).toEqual((topic as { tablets: unknown }).tablets)
    for (const member of members) member.wire.open = false
    const [now] = tablets ?? []
    const id = zero?.store.topics().get('t')?.id ?? ''
    if (now === undefined || zero === undefined) throw new Error('no topic')
    const { epoch, version } = now
    const change = { tablet: 0, test: { epoch, version }, to: { ...now, version: version + 1 } }
    const answer = zero.store.changeTablets(id, [change])
    await clock.runFor(60_000)
    expect(await answer).toBe('unknown')
    for (const member of [zero, one, two])
      for (const other of [0, 1, 2]) expect(member?.store.isSilent(brokerId(other))).toBe(false)
  })

  test('after the end of the store nothing is waited for', async () => {
    const { clock, members } = await three()
    const zero = members[0]
    const asked = zero?.store.deleteTopic('t', 'x')
    zero?.wire.cut()
    await expect(asked).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
    await expect(zero?.store.registerBroker(startOf(0))).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' })
    await zero?.store.close()
    await clock.runFor(1)
  })
})

test('a broker that reads nothing is given up before what it misses fills the memory', async () => {
  const store = openAt(newPath())
  const complete = Promise.resolve()
  const server = new StoreServer({ clusterId: 'c', complete, store, clock: realClock, unsentMax: 10 })
  ends.push(() => {
    server.stop()
    return store.close()
  })
  let [sent, abandoned] = [0, 0]
  // Nothing of it ever leaves.
  const channel: Channel<ToBroker, ToStore> = {
    send: () => void sent++,
    abandon: () => void abandoned++,
    received: () => undefined,
    ended: () => undefined,
  }
  server.serve(brokerId(1), channel)
  for (let n = 0; n < 20; n++)
    await store.alterBrokerSettings({ set: { 'log.retention.ms': `${1_000 + n}` }, unset: [] })
  expect(abandoned).toBe(1)
  expect(sent).toBeLessThan(15)
})
