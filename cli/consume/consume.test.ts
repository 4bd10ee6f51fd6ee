import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { describedTopic } from '../topic/describe.ts'
import { consume } from './consume.ts'

test('a partition that nobody leads is named, not passed over', async () => {
  const at = { leader_epoch: 0, replicas: [0], isr: [0] }
  const topic = {
    name: 'load',
    topic_id: 'AAAAAAAAAAAAAAAAAAAAAA',
    config: {},
    partitions: [
      { ...at, partition: 0, leader: 0, log_start_offset: 0, high_watermark: 0, size_bytes: 0 },
      { ...at, partition: 1, leader: 1, log_start_offset: null, high_watermark: null, size_bytes: null },
    ],
  }
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(topic))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    const reading = consume('load', {
      server: new URL(`http://127.0.0.1:${port}`),
      from: { kind: 'beginning' },
    })
    await expect(reading).rejects.toThrow('partition 1 of load cannot be read now')
  } finally {
    server.close()
  }
  expect(describedTopic(topic, false)).toMatch(/1 +1 +0 +0 +- +- +-/)
})
