import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { foreignBootstrap, useBroker } from './broker.ts'
import { samples } from './content.ts'
import { consume, produce } from './kcat.ts'
import { RawConnection, batch, fetchBody, fetched, join, produceRaw, request } from './raw.ts'
import { needs, needsOwnBroker } from './tools.ts'
import { createTopic } from './topics.ts'

const broker = useBroker()
const mib = 1024 * 1024
const open = (): Promise<RawConnection> => RawConnection.open(broker().kafka)

describe('clients that stop in the middle', () => {
  test('half a frame, then nothing: others are served meanwhile', async () => {
    const topic = await createTopic(broker().kafka, 'half-frame', 1)
    const whole = request(18, 0, Buffer.alloc(0))
    const halves = await Promise.all(Array.from({ length: 50 }, open))
    halves.forEach((connection, i) => connection.write(whole.subarray(0, 1 + (i % (whole.length - 1)))))
    const other = await open()
    for (let i = 0; i < 100; i++) {
      expect((await produceRaw(other, topic, 0, batch({ values: [`value ${i}`] }))).baseOffset).toBe(i)
    }
    // The rest arrives at last: the frame is whole and gets its answer.
    halves.forEach((connection, i) => connection.write(whole.subarray(1 + (i % (whole.length - 1)))))
    for (const connection of halves) {
      expect((await connection.answer()).int16()).toBe(0)
      connection.close()
    }
    other.close()
  })

  test('a client that leaves without reading its answers harms nobody', async () => {
    const topic = await createTopic(broker().kafka, 'leaver', 1)
    const bytes = request(1, 4, fetchBody({ topic, partition: 0, offset: 0, waitMs: 5000 }))
    for (let i = 0; i < 50; i++) {
      const connection = await open()
      connection.write(join(bytes, bytes, bytes))
      connection.close()
    }
    const other = await open()
    expect(await produceRaw(other, topic, 0, batch({ values: ['x'] }))).toEqual({ error: 0, baseOffset: 0 })
    other.close()
  })
})

describe('a client that stops reading', () => {
  needsOwnBroker()

  test('costs bounded memory, and gets all its answers when it reads again', async () => {
    const topic = await createTopic(broker().kafka, 'unread', 1)
    const writer = await open()
    const value = 'v'.repeat(900_000)
    for (let i = 0; i < 60; i++) await produceRaw(writer, topic, 0, batch({ values: [value] }))
    const before = residentBytes()

    const reader = await open()
    reader.socket.pause()
    const fetches = 100
    const fetch = request(1, 4, fetchBody({ topic, partition: 0, offset: 0, bytesMax: 50 * mib }))
    for (let i = 0; i < fetches; i++) reader.write(fetch)
    // 5 GB are asked for. Meanwhile another client works, which gives the broker every chance to gather them.
    let largest = 0
    for (let i = 0; i < 300; i++) {
      await writer.ask(1, 4, fetchBody({ topic, partition: 0, offset: i % 60, bytesMax: mib }))
      largest = Math.max(largest, residentBytes())
    }
    expect(largest - before).toBeLessThan(250 * mib)

    // The answers come whole. Five of them tell enough.
    reader.socket.resume()
    for (let i = 0; i < 5; i++) {
      const { error, records } = fetched(await reader.answer())
      expect(error).toBe(0)
      expect(records.length).toBeGreaterThan(40 * mib)
    }
    reader.close()
    writer.close()
  })
})

// Of the broker's memory, with everything Node itself needs for a socket.
const idleBytesMax = 20_000
const wanted = 10_000
const idle = Math.min(wanted, openFilesAllowed() - 1000)
const note = idle < wanted ? ` (the limit of open files allows no more; ${wanted} were wanted)` : ''

describe(`${idle} idle connections${note}`, () => {
  needs('kcat')

  test('leave the broker working', async () => {
    const topic = await createTopic(broker().kafka, 'idle', 1)
    const before = residentBytes()
    const connections: RawConnection[] = []
    while (connections.length < idle) {
      const some = Math.min(40, idle - connections.length)
      connections.push(...(await Promise.all(Array.from({ length: some }, open))))
    }
    expect(residentBytes() - before).toBeLessThan(idle * idleBytesMax)
    const sent = samples(5000, 31).map(({ value }) => value)
    await produce(broker().kafka, topic, [], sent.join('\n'))
    expect((await consume(broker().kafka, topic)).map(({ value }) => value?.toString())).toEqual(sent)
    // All of them are still there, and each is served when it speaks.
    for (const connection of connections) connection.write(request(18, 0, Buffer.alloc(0)))
    for (const connection of connections) {
      expect((await connection.answer()).int16()).toBe(0)
      connection.close()
    }
  })
})

/** The memory of the broker, or 0 when it is none of ours. */
function residentBytes(): number {
  if (foreignBootstrap !== undefined) return 0
  const status = readFileSync(`/proc/${broker().pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

/** What one process may open: this one and the broker, which inherits the limit, need as many each. */
function openFilesAllowed(): number {
  const answer = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim()
  return answer === 'unlimited' ? Infinity : Number(answer)
}
