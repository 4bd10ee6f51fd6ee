/** That Kafka's tools find in a virtual machine that they share what they would find alone: each ends by itself, whatever the one before did. */
import { expect, test } from 'vitest'
import { toolsMachine } from './java.ts'
import { needs } from './tools.ts'

needs('java', 'mvn')
const nowhere = ['--bootstrap-server', '127.0.0.1:1']
const version = ['org.apache.kafka.tools.TopicCommand', '--version']
const patience = 60_000

test('a tool that fails, one that is none and one that does not end leave the next one alone', async () => {
  const tools = await toolsMachine()
  const succeeded = { code: 0, signal: null, stderr: '' }
  const wrong = await tools.run(['org.apache.kafka.tools.TopicCommand', ...nowhere], '', patience)
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('must include exactly one action')])
  const none = await tools.run(['org.example.Nothing'], '', patience)
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('ClassNotFoundException')])
  const shown = await tools.run(version, '', patience)
  expect(shown).toMatchObject(succeeded)
  expect(shown.stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/)

  const endless = ['org.apache.kafka.tools.consumer.ConsoleConsumer', ...nowhere, '--topic', 'none']
  const killed = tools.run(endless, '', 1_000)
  const next = tools.run(version, '', patience)
  expect(await killed).toMatchObject({ code: null, signal: 'SIGKILL' })
  expect(await next).toEqual(shown)
})
