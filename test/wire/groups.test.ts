import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { explainFailures, startBroker, type Broker } from './broker.ts'
import { clients, startMember, type Client, type Consumed, type Member } from './group-members.ts'
import { produce } from './kcat.ts'
import { needs, needsOwnBroker } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('kcat', 'java', 'mvn')
needsOwnBroker()

const partitions = 6
let broker: Broker | undefined
let members: Member[] = []
let data = ''
explainFailures(() => `${members.map(member => member.said()).join('\n---\n')}\n${broker?.log() ?? ''}`)
afterEach(async () => {
  for (const member of members) await member.kill()
  members = []
  await broker?.stop()
  await rm(data, { recursive: true, force: true })
})

/** Waits for what nobody announces, as long as the test has time. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setTimeout(resolve, 50))
}

const inAll = (consumers: readonly Member[]): Consumed[] => consumers.flatMap(member => member.consumed())
const places = (consumed: readonly Consumed[]): Set<string> =>
  new Set(consumed.map(({ partition, offset }) => `${partition} ${offset}`))

/** One story for every client: work is shared, handed on and resumed; nothing is lost. */
async function story(client: Client): Promise<number> {
  data = await mkdtemp(join(tmpdir(), 'stele-groups-'))
  const first = await startBroker({ data })
  broker = first
  const { kafka } = first
  const topic = await createTopic(kafka, `groups-${client}`, partitions)
  const group = freshTopic('group')
  let sent = 0
  const send = async (count: number): Promise<void> => {
    const values = Array.from({ length: count }, () => `value ${sent++}`)
    await produce(kafka, topic, ['-p', '-1', '-X', 'sticky.partitioning.linger.ms=0'], values.join('\n'))
  }
  const join_ = async (): Promise<Member> => {
    const member = await startMember(client, kafka, group, topic)
    members.push(member)
    return member
  }
  const all = () => places(inAll(members)).size === sent

  await send(300)
  const [a, b] = [await join_(), await join_()]
  await until(all)
  await until(async () => (await membersOf(kafka, group)) === 2)
  const c = await join_()
  await until(async () => (await membersOf(kafka, group)) === 3)
  // Everybody works: each partition belongs to somebody, and each member has some.
  await until(async () => {
    await send(60)
    await until(all)
    return [a, b, c].every(member => member.consumed().length > 0)
  })

  await b.kill()
  await send(120)
  await until(all)
  expect(await membersOf(kafka, group)).toBe(2)

  await c.leave()
  await a.leave()
  await until(async () => (await membersOf(kafka, group)) === 0)
  const before = sent
  await first.kill('SIGKILL')
  broker = await startBroker({ data, kafka })
  await send(60)
  const d = await join_()
  await until(() => places(d.consumed()).size >= sent - before && all())
  await d.leave()

  // Each value came, from where it was stored.
  const consumed = inAll(members)
  const byPlace = new Map(consumed.map(({ partition, offset, value }) => [`${partition} ${offset}`, value]))
  expect(byPlace.size).toBe(sent)
  expect(new Set(byPlace.values()).size).toBe(sent)
  // Who resumes gets what came since the last commit: those who left had committed everything.
  expect(d.consumed()).toHaveLength(sent - before)
  return consumed.length - sent
}

async function membersOf(kafka: string, group: string): Promise<number> {
  const admin = kafkajsClient(kafka).admin()
  await admin.connect()
  try {
    const { groups } = await admin.describeGroups([group])
    return groups[0]?.members.length ?? 0
  } finally {
    await admin.disconnect()
  }
}

describe('members share the work, hand it on when one joins or dies, and resume after a crash of the broker', () => {
  test.each(clients)('%s', async client => {
    const duplicates = await story(client)
    // The one that was killed had consumed what it had not committed yet; rebalances of eager clients may add to it.
    expect(duplicates).toBeLessThan(800)
    process.stderr.write(`${client}: ${duplicates} duplicates\n`)
  })
})
