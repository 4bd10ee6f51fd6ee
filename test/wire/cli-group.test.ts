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
      `${JSON.stringify({ group, new_group: false, offsets: [{ topic, partition: 1, from: 5, to: 3 }] })}\n`,
    )
    expect(await stele('group', 'list')).toMatch(new RegExp(`^${group} +Empty +0 +2$`, 'm'))
    expect(await stele('group', 'delete', group, '--yes')).toBe(`deleted ${group}\n`)
    const gone = await tried('group', 'describe', group)
    expect([gone.code, gone.stderr]).toEqual([
      1,
      expect.stringMatching(/There is no group .*GROUP_ID_NOT_FOUND/),
    ])
  })

  test.each(['.', '..', 'a/b', 'line\nfeed\u001b[31m'])('a group may be called %j', async group => {
    const shown = JSON.stringify(group).slice(1, -1)
    const topic = await createTopic(broker().kafka, 'cli-names', 1)
    const far = await tried('group', 'reset', group, '--topic', topic, '--offset', '999')
    expect(far.stderr).toBe(
      `the group ${shown} is new: there was none of that name\n${topic}-0 does not reach 999: its nearest end is 0\n`,
    )
    expect(await stele('group', 'describe', group)).toContain(`${shown}: Empty, generation `)
    expect(`\n${await stele('group', 'list')}`).toContain(`\n${shown} `)
    expect(await stele('group', 'delete', group, '-y')).toBe(`deleted ${shown}\n`)
    const gone = await tried('group', 'describe', group)
    expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining(`There is no group ${shown}`)])
  })

  test('groups are listed by name', async () => {
    const topic = await createTopic(broker().kafka, 'cli-sorted', 1)
    for (const group of ['b', 'c', 'a']) await stele('group', 'reset', group, '-t', topic, '--earliest')
    const names = (await stele('group', 'list')).split('\n').map(line => line.split(' ')[0])
    expect(names.filter(name => /^[abc]$/.test(name ?? ''))).toEqual(['a', 'b', 'c'])
    for (const group of ['a', 'b', 'c']) await stele('group', 'delete', group, '-y')
  })

  test.each(['group', 'topic'])(
    'nobody can be asked whether to delete a %s without a terminal',
    async kind => {
      const topic = await createTopic(broker().kafka, 'cli-kept', 1)
      const group = freshTopic('kept')
      await stele('group', 'reset', group, '-t', topic, '--earliest')
      const name = kind === 'group' ? group : topic
      const refused = await run(process.execPath, [command, kind, 'delete', name], {
        environment: environment(),
        input: 'y\n',
      })
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('Say -y')])
      expect(await stele(kind, 'describe', name)).toContain(name)
    },
  )

  test.each(['group', 'topic'])(
    'each %s that was deleted is told before the one that was not',
    async kind => {
      const topic = await createTopic(broker().kafka, 'cli-gone', 1)
      const remove = async (...flags: string[]) => {
        const name = kind === 'group' ? freshTopic('gone') : await createTopic(broker().kafka, 'cli-gone', 1)
        if (kind === 'group') await stele('group', 'reset', name, '-t', topic, '--earliest')
        const { code, stdout, stderr } = await tried(kind, 'delete', name, 'no-such-one', '-y', ...flags)
        expect([code, stderr]).toEqual([1, expect.stringContaining('no-such-one')])
        return stdout.toString().replace(name, 'NAME')
      }
      expect(await remove()).toBe('deleted NAME\n')
      expect(await remove('--json')).toBe('["NAME"]\n')
    },
  )

  test.each([
    [['group', 'describe', '']],
    [['group', 'delete', 'x', '', '-y']],
    [['topic', 'describe', '']],
    [['group', 'reset', 'x']],
    [['group', 'reset', 'x', '--earliest', '--latest']],
    [['group', 'reset', 'x', '--partition', '1', '--earliest']],
    [['group', 'reset', 'x', '--offset', '-1']],
    [['group', 'reset', 'x', '--shift', 'much']],
  ])('%j cannot be meant', async args => {
    expect((await tried(...args)).code).toBe(2)
  })
})
