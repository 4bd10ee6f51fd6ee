import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AssignerProtocol, type MemberDescription } from 'kafkajs'
import { afterEach, describe, expect, test } from 'vitest'
import { explainFailures, startBroker, type Broker } from './broker.ts'
import { needsInstalled } from './clients/install.ts'
import { clients, isStatic, startMember, type Client, type Consumed, type Member } from './group-members.ts'
import { produce } from './kcat.ts'
import { needs, needsOwnBroker } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('kcat', 'java', 'mvn')
needsInstalled('confluent', 'python')
needsOwnBroker()

const partitions = 6
let broker: Broker | undefined
let members: Member[] = []
/** Those that were killed or asked to leave. */
const told = new Set<Member>()
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
  while (!(await holds())) {
    if (members.some(member => member.ended() && !told.has(member)))
      throw new Error('a member ended by itself')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

const inAll = (consumers: readonly Member[]): Consumed[] => consumers.flatMap(member => member.consumed())
const places = (consumed: readonly Consumed[]): Set<string> =>
  new Set(consumed.map(({ partition, offset }) => `${partition} ${offset}`))

function kill(member: Member): Promise<unknown> {
  told.add(member)
  return member.kill()
}

function leave(member: Member): Promise<unknown> {
  told.add(member)
  return member.leave()
}

/** One story for every client: work is shared, handed on and resumed; nothing is lost. */
async function story(client: Client): Promise<{ duplicates: number; sent: number }> {
  data = await mkdtemp(join(tmpdir(), 'stele-groups-'))
  const first = await startBroker({ data })
  broker = first
  const { kafka } = first
  const topic = await createTopic(kafka, 'groups', partitions)
  const group = freshTopic('group')
  let sent = 0
  const send = async (count: number): Promise<void> => {
    const values = Array.from({ length: count }, () => `value ${sent++}`)
    await produce(kafka, topic, ['-p', '-1', '-X', 'sticky.partitioning.linger.ms=0'], values.join('\n'))
  }
  const join_ = async (name: string): Promise<Member> => {
    const member = await startMember(client, kafka, group, topic, `${group}-${name}`)
    members.push(member)
    return member
  }
  const all = () => places(inAll(members)).size === sent
  const work = () => workOf(kafka, group, topic)
  /** A member that is killed, and is back in time under its static id, takes up the work it had; nobody else's changes. */
  const comesBack = async (member: Member): Promise<Member> => {
    await until(async () => [...(await work()).values()].flat().length === partitions)
    const had = await work()
    await kill(member)
    const again = await join_('b')
    await until(async () => {
      await send(60)
      await until(all)
      return again.consumed().length > 0
    })
    expect(await work()).toEqual(had)
    return again
  }

  await send(300)
  const [a, b] = [await join_('a'), await join_('b')]
  await until(all)
  await until(async () => (await membersOf(kafka, group)) === 2)
  const c = await join_('c')
  await until(async () => (await membersOf(kafka, group)) === 3)
  // Everybody works: each partition belongs to somebody, and each member has some.
  await until(async () => {
    await send(60)
    await until(all)
    return [a, b, c].every(member => member.consumed().length > 0)
  })

  // Who is static comes back first, and is killed again.
  const killed = isStatic(client) ? await comesBack(b) : b
  await kill(killed)
  await send(120)
  await until(all)
  expect(await membersOf(kafka, group)).toBe(2)

  await leave(c)
  await leave(a)
  await until(async () => (await membersOf(kafka, group)) === 0)
  const before = sent
  await first.kill('SIGKILL')
  broker = await startBroker({ data, kafka })
  await send(60)
  const d = await join_('d')
  await until(() => places(d.consumed()).size >= sent - before && all())
  await leave(d)

  // Each value came, from where it was stored.
  const consumed = inAll(members)
  const byPlace = new Map(consumed.map(({ partition, offset, value }) => [`${partition} ${offset}`, value]))
  expect(byPlace.size).toBe(sent)
  expect(new Set(byPlace.values()).size).toBe(sent)
  // Who resumes gets what came since the last commit: those who left had committed everything.
  expect(d.consumed()).toHaveLength(sent - before)
  return { duplicates: consumed.length - sent, sent }
}

async function described(kafka: string, group: string): Promise<MemberDescription[]> {
  const admin = kafkajsClient(kafka).admin()
  await admin.connect()
  try {
    const { groups } = await admin.describeGroups([group])
    return groups[0]?.members ?? []
  } finally {
    await admin.disconnect()
  }
}

const membersOf = async (kafka: string, group: string): Promise<number> =>
  (await described(kafka, group)).length

/** The partitions each static member of a group works on. Its member id begins with the static one, as in Kafka. */
async function workOf(kafka: string, group: string, topic: string): Promise<Map<string, number[]>> {
  const random = '-00000000-0000-0000-0000-000000000000'
  const members = await described(kafka, group)
  return new Map(
    members.map(({ memberId, memberAssignment }) => [
      memberId.slice(0, -random.length),
      AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[topic]?.toSorted() ?? [],
    ]),
  )
}

describe('members share the work, hand it on when one joins or dies, and resume after a crash of the broker', () => {
  test.each(clients)('%s', async client => {
    const { duplicates, sent } = await story(client)
    // The one that was killed had consumed what it had not committed yet; rebalances of eager clients may add to it.
    expect(duplicates).toBeLessThan(sent)
    process.stderr.write(`${client}: ${duplicates} duplicates\n`)
  })
})
