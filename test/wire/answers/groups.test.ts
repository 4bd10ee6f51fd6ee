/**
 * What we answer about groups is what Kafka answers, field by field. `groups.kafka.txt` holds Kafka's answers; they are written down anew by
 * STELE_TEST_BROKER=kafka STELE_TEST_RECORD=1.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isKafka, useBroker } from '../broker.ts'
import { GroupInterview } from './groups.ts'

const broker = useBroker({ settings: { 'group.initial.rebalance.delay.ms': '0' } })
const recorded = join(import.meta.dirname, 'groups.kafka.txt')

test('every question about groups is answered as Kafka answers it, in every version', async () => {
  const answers = await GroupInterview.hold(Number(broker().kafka.split(':').at(-1)))
  if (isKafka && process.env['STELE_TEST_RECORD'] === '1') writeFileSync(recorded, `${answers.join('\n')}\n`)
  expect(answers.length).toBeGreaterThan(150)
  expect(answers).toEqual(readFileSync(recorded, 'utf8').trimEnd().split('\n'))
})
