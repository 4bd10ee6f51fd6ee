import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { checkout, foreignBootstrap, isKafka, useBroker } from './broker.ts'
import { startMember, type Member } from './group-members.ts'
import { run, succeed, type Outcome } from './processes.ts'
import { createTopic, freshTopic } from './topics.ts'

const command = join(checkout, 'bin', 'stele.mjs')

describe.skipIf(isKafka || foreignBootstrap !== undefined)('stele group', () => {
  const broker = useBroker()
  const environment = (): Record<string, string> => ({ STELE_SERVER: broker().http })
  const tried = (...args: string[]): Promise<Outcome> =>
    run(process.execPath, [command, ...args], { environment: environment() })
  const stele = async (...args: string[]): Promise<string> =>
    (await succeed(process.execPath, [command, ...args], { environment: environment() })).stdout.toString()

  let member: Member | undefined
  afterEach(async () => {
    await member?.kill()
    member = undefined
  })

  test('a group is listed and described while it works, moved and deleted when it rests', async () => {
    const topic = await createTopic(broker().kafka, 'cli-group', 2)
    const group = freshTopic('billing')
    const { http } = broker()
    for (const partition of [0, 1]) {
      const records = Array.from({ length: 5 }, (_, n) => ({ value: `v${n}`, partition }))
      await fetch(`${http}/v1/topics/${topic}/records`, { method: 'POST', body: JSON.stringify({ records }) })
    }
    const started = await startMember('kafkajs', broker().kafka, group, topic)
    member = started
    const committed = new RegExp(`^${topic} +0 +5 +5 +0 +kafkajs-member-`, 'm')
    let described = ''
    while (!committed.test(described)) described = (await tried('group', 'describe', group)).stdout.toString()
    expect(described).toMatch(new RegExp(`^${group}: Stable, generation 1, RoundRobinAssigner, 1 member\n`))
    expect(described).toMatch(new RegExp(`kafkajs-member +127\\.0\\.0\\.1 +${topic}: 0,1$`, 'm'))
    expect(await stele('group', 'list')).toMatch(new RegExp(`^${group} +Stable +1 +0$`, 'm'))

    const refused = await tried('group', 'reset', group, '--earliest')
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^stele: .*NON_EMPTY_GROUP/)])

    await started.leave()
    const dry = await stele('group', 'reset', group, '--topic', topic, '--earliest', '--dry-run')
    expect(dry).toMatch(new RegExp(`WOULD BE\n${topic} +0 +5 +0\n`))
    expect(await stele('group', 'reset', group, '--topic', topic, '-p', '1', '--shift', '-2', '--json')).toBe(
      `${JSON.stringify([{ topic, partition: 1, from: 5, to: 3 }])}\n`,
    )
    expect(await stele('group', 'list')).toMatch(new RegExp(`^${group} +Empty +0 +2$`, 'm'))
    expect(await stele('group', 'delete', group, '--yes')).toBe(`deleted ${group}\n`)
    const gone = await tried('group', 'describe', group)
    expect([gone.code, gone.stderr]).toEqual([
      1,
      expect.stringMatching(/There is no group .*GROUP_ID_NOT_FOUND/),
    ])
  })

  test.each([
    [['group', 'reset', 'x']],
    [['group', 'reset', 'x', '--earliest', '--latest']],
    [['group', 'reset', 'x', '--partition', '1', '--earliest']],
    [['group', 'reset', 'x', '--offset', '-1']],
    [['group', 'reset', 'x', '--shift', 'much']],
  ])('%j cannot be meant', async args => {
    expect((await tried(...args)).code).toBe(2)
  })
})
