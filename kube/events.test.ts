import { describe, expect, test } from 'vitest'
import { EventRecorder, type Fact } from './events.ts'
import { configMap, simKube } from './kube.fixture.ts'
import { events, nodes } from './resources.ts'

function recording(seed: number) {
  const around = simKube(seed)
  const api = around.server.client()
  const recorder = new EventRecorder({ ...around, api, controller: 'example.com/test', instance: 'pod-1' })
  const told = () => around.server.peekAll(events)
  return { ...around, recorder, told }
}

const fact = (note: string, name = 'a'): Fact => {
  const { metadata, ...rest } = configMap(name, '1')
  const regarding = { ...rest, metadata: { ...metadata, uid: `uid of ${name}` } }
  return { regarding, type: 'Warning', reason: 'Broken', action: 'Look', note }
}

describe('an EventRecorder', () => {
  test('tells what happened to what', async () => {
    const { time, recorder, told } = recording(1)
    recorder.record(fact('it broke'))
    await time.runFor(100)
    expect(told()).toEqual([
      expect.objectContaining({
        metadata: expect.objectContaining({
          namespace: 'default',
          name: expect.stringMatching(/^a\.[0-9a-f]{16}$/),
        }),
        eventTime: '2026-01-01T00:00:00.000000Z',
        reportingController: 'example.com/test',
        reportingInstance: 'pod-1',
        type: 'Warning',
        reason: 'Broken',
        action: 'Look',
        note: 'it broke',
        regarding: { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', namespace: 'default', uid: 'uid of a' },
      }),
    ])
  })

  test('what stands in no namespace, and names and notes that are too long', async () => {
    const { time, recorder, told } = recording(2)
    const metadata = { name: `${'x'.repeat(229)}.${'y'.repeat(20)}` }
    const regarding = { apiVersion: 'v1', kind: nodes.kind, metadata }
    recorder.record({ ...fact('n'.repeat(5_000)), regarding })
    await time.runFor(100)
    expect(told()).toHaveLength(1)
    expect(told()[0]?.metadata.namespace).toBe('default')
    expect(told()[0]?.metadata.name).toMatch(/^x{229}\.[0-9a-f]{16}$/)
    expect(told()[0]?.note).toHaveLength(1_024)
  })

  test('what happens again counts on, and is written now and then', async () => {
    const { time, recorder, told, server } = recording(3)
    recorder.record(fact('it broke'))
    await time.runFor(1_000)
    for (let n = 0; n < 100; n += 1) {
      recorder.record(fact('it broke'))
      await time.runFor(1_000)
    }
    expect(told()).toHaveLength(1)
    expect(told()[0]?.series?.count).toBeGreaterThan(40)
    expect(told()[0]?.series?.lastObservedTime).toMatch(/\.\d{6}Z$/)
    expect(server.writes.length).toBeLessThan(5)
    await time.runFor(600_000)
    recorder.record(fact('it broke'))
    await time.runFor(1_000)
    expect(told()).toHaveLength(2)
  })

  test('a flood is bounded, and what is left out is counted', async () => {
    const { time, recorder, told, lines } = recording(4)
    for (let n = 0; n < 10_000; n += 1) recorder.record(fact(`fact ${n}`))
    await time.runFor(1_000)
    expect(told().length).toBeLessThanOrEqual(52)
    await time.runFor(600_000)
    expect(told()).toHaveLength(201)
    expect(lines).toContainEqual(expect.objectContaining({ level: 'warn', leftOut: 9_799 }))
  })

  test('an API server that fails is not told, and the caller never knows', async () => {
    const { time, recorder, told, server } = recording(5)
    server.onCall = () => ({ code: 500 })
    for (let n = 0; n < 5; n += 1) recorder.record(fact('it broke'))
    await time.runFor(1_000)
    recorder.record(fact('it broke'))
    await time.runFor(1_000)
    expect(server.writes).toEqual([])
    server.onCall = undefined
    recorder.record(fact('another'))
    await time.runFor(1_000)
    expect(told().map(({ note }) => note)).toEqual(['another'])
  })

  test('stops: what is under way ends, nothing more begins', async () => {
    const { time, recorder, told } = recording(6)
    for (let n = 0; n < 10; n += 1) recorder.record(fact(`fact ${n}`))
    await time.finish(recorder.stop())
    recorder.record(fact('late'))
    await time.runFor(10_000)
    expect(told().length).toBeLessThanOrEqual(1)
  })
})
