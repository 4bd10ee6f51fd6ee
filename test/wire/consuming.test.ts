import { afterEach, describe, expect, test } from 'vitest'
import { useBroker } from './broker.ts'
import { samples } from './content.ts'
import { startMember, type Member } from './group-members.ts'
import { produce } from './kcat.ts'
import { needs } from './tools.ts'
import { createTopic, freshTopic } from './topics.ts'

needs('kcat', 'java', 'mvn')
const broker = useBroker()
let member: Member | undefined
afterEach(() => member?.kill())

const all = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

describe.for([
  { client: 'kafkajs', codecs: ['none', 'gzip'] },
  { client: 'platformatic', codecs: all },
  { client: 'java', codecs: all },
] as const)('$client reads what kcat wrote', ({ client, codecs }) => {
  test.for(codecs)('codec %s', async codec => {
    const topic = await createTopic(broker().kafka, 'consuming', 1)
    const sent = samples(2000, 6).map(({ value }) => value)
    await produce(broker().kafka, topic, ['-z', codec], sent.join('\n'))
    const started = await startMember(client, broker().kafka, freshTopic('group'), topic)
    member = started
    while (started.consumed().length < sent.length) {
      if (started.ended()) throw new Error(`the consumer ended: ${started.said()}`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    expect(started.consumed()).toEqual(sent.map((value, offset) => ({ partition: 0, offset, value })))
  })
})
