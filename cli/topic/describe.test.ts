import { expect, test } from 'vitest'
import type { TopicDescription } from '../broker-http.ts'
import { command } from '../start/command-name.ts'
import { describedTopic } from './describe.ts'

const partition = (n: number, more: object = {}): TopicDescription['partitions'][number] => ({
  partition: n,
  leader: 0,
  leader_epoch: 1,
  replicas: [0, 1],
  isr: [0],
  log_start_offset: 0,
  high_watermark: 5,
  size_bytes: 10,
  ...more,
})
const described = (...partitions: TopicDescription['partitions'][number][]): string =>
  describedTopic({ name: 'orders', topic_id: 'x', partitions, config: {} }, false)

test('a column says what moves while something does', () => {
  expect(described(partition(0))).not.toContain('MOVING')
  const text = described(partition(0, { replicas: [1, 2, 0], adding: [2], removing: [0] }), partition(1))
  expect(text).toMatch(/IN SYNC +MOVING +START/)
  expect(text).toMatch(/1,2,0 +0 +\+2 -0 +0/)
  expect(text).toMatch(/0,1 +0 +- +0/)
})

test('what to do about a partition that is offline is a command as it is said here', () => {
  const todo = 'Bring it back. When that cannot be: stele topic elect orders --partition 0 --unclean'
  const text = described(partition(0, { leader: null, offline: 'nobody leads it', todo }))
  expect(text).toContain('\npartition 0 is offline: nobody leads it\n')
  expect(text).toContain(
    `  Bring it back. When that cannot be: ${command} topic elect orders --partition 0 --unclean\n`,
  )
  expect(described(partition(0, { offline: 'its disk failed' }))).toMatch(/offline: its disk failed\n$/)
})
