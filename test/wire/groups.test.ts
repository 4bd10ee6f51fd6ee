import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AssignerProtocol, type MemberDescription } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { startBroker, type Broker } from './broker.ts'
import { needsInstalled } from './clients/install.ts'
import { clients, isStatic, startMember, type Client, type Consumed, type Member } from './group-members.ts'
import { produce } from './kcat.ts'
import { needs, needsOwnBroker } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'

needs('kcat', 'java', 'mvn')
needsInstalled('confluent', 'python')
needsOwnBroker()

const partitions = 6
const inAll = (consumers: readonly Member[]): Consumed[] => consumers.flatMap(member => member.consumed())
const places = (consumed: readonly Consumed[]): Set<string> =>
  new Set(consumed.map(({ partition, offset }) => `${partition} ${offset}`))

/** One story for every client: work is shared, handed on and resumed; nothing is lost. */
class Story {
  readonly #client: Client
  readonly #members: Member[] = []
  /** Those that were killed or asked to leave. */
  readonly #told = new Set<Member>()
  readonly #group = freshTopic('group')
  #topic = ''
  #broker: Broker | undefined
  #data = ''
  #sent = 0

  constructor(client: Client) {
    this.#client = client
  }

  /** Tells it to its end; answers how many records were sent, and how many came again. */
  async tell(): Promise<{ duplicates: number; sent: number }> {
    this.#data = await mkdtemp(join(tmpdir(), 'stele-groups-'))
    const first = await startBroker({ data: this.#data })
    this.#broker = first
    const { kafka } = first
    this.#topic = await createTopic(kafka, 'groups', partitions)
    const group = this.#group

    await this.#send(kafka, 300)
    const [a, b] = [await this.#join(kafka, 'a'), await this.#join(kafka, 'b')]
    await this.#until(() => this.#haveAll())
    await this.#until(async () => (await membersOf(kafka, group)) === 2)
    const c = await this.#join(kafka, 'c')
    await this.#until(async () => (await membersOf(kafka, group)) === 3)
    // Everybody works: each partition belongs to somebody, and each member has some.
    await this.#sendUntil(kafka, () => [a, b, c].every(member => member.consumed().length > 0))

    // Who is static comes back first, and is killed again.
    const killed = isStatic(this.#client) ? await this.#comesBack(kafka, b) : b
    await this.#kill(killed)
    await this.#send(kafka, 120)
    await this.#until(() => this.#haveAll())
    expect(await membersOf(kafka, group)).toBe(2)

    await this.#leave(c)
    await this.#leave(a)
    await this.#until(async () => (await membersOf(kafka, group)) === 0)
    const before = this.#sent
    await first.kill('SIGKILL')
    this.#broker = await startBroker({ data: this.#data, kafka })
    await this.#send(kafka, 60)
    const d = await this.#join(kafka, 'd')
    await this.#until(() => places(d.consumed()).size >= this.#sent - before && this.#haveAll())
    await this.#leave(d)

    // Each value came, from where it was stored.
    const consumed = inAll(this.#members)
    const byPlace = new Map(consumed.map(({ partition, offset, value }) => [`${partition} ${offset}`, value]))
    expect(byPlace.size).toBe(this.#sent)
    expect(new Set(byPlace.values()).size).toBe(this.#sent)
    // Who resumes gets what came since the last commit: those who left had committed everything.
    expect(d.consumed()).toHaveLength(this.#sent - before)
    return { duplicates: consumed.length - this.#sent, sent: this.#sent }
  }

  /** What its processes said, for somebody who looks for a reason. */
  said(): string {
    const members = this.#members.map(member => member.said()).join('\n---\n')
    return `${members}\n--- end of the broker's log\n${this.#broker?.log().slice(-6000) ?? ''}\n`
  }

  async end(): Promise<void> {
    for (const member of this.#members) await member.kill()
    await this.#broker?.stop()
    await rm(this.#data, { recursive: true, force: true })
  }

  /** Waits for what nobody announces, as long as the test has time. */
  async #until(holds: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await holds())) {
      if (this.#members.some(member => member.ended() && !this.#told.has(member)))
        throw new Error('a member ended by itself')
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  #haveAll(): boolean {
    return places(inAll(this.#members)).size === this.#sent
  }

  async #send(kafka: string, count: number): Promise<void> {
    const values = Array.from({ length: count }, () => `value ${this.#sent++}`)
    await produce(
      kafka,
      this.#topic,
      ['-p', '-1', '-X', 'sticky.partitioning.linger.ms=0'],
      values.join('\n'),
    )
  }

  async #sendUntil(kafka: string, holds: () => boolean): Promise<void> {
    await this.#until(async () => {
      await this.#send(kafka, 60)
      await this.#until(() => this.#haveAll())
      return holds()
    })
  }

  async #join(kafka: string, name: string): Promise<Member> {
    const member = await startMember(this.#client, kafka, this.#group, this.#topic, `${this.#group}-${name}`)
    this.#members.push(member)
    return member
  }

  /** A member that is killed, and is back in time under its static id, takes up the work it had; nobody else's changes. */
  async #comesBack(kafka: string, member: Member): Promise<Member> {
    const work = () => workOf(kafka, this.#group, this.#topic)
    await this.#until(async () => [...(await work()).values()].flat().length === partitions)
    const had = await work()
    await this.#kill(member)
    const again = await this.#join(kafka, 'b')
    await this.#sendUntil(kafka, () => again.consumed().length > 0)
    expect(await work()).toEqual(had)
    return again
  }

  async #kill(member: Member): Promise<void> {
    this.#told.add(member)
    await member.kill()
  }

  async #leave(member: Member): Promise<void> {
    this.#told.add(member)
    await member.leave()
  }
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
  // They mostly wait for time-outs: several at once, each with a broker of its own.
  test.concurrent.for(clients)('%s', async (client, { onTestFailed, onTestFinished }) => {
    const story = new Story(client)
    onTestFinished(() => story.end())
    onTestFailed(() => void process.stderr.write(`\n${client}:\n${story.said()}\n`))
    const { duplicates, sent } = await story.tell()
    // The one that was killed had consumed what it had not committed yet; rebalances of eager clients may add to it.
    expect(duplicates).toBeLessThan(sent)
    process.stderr.write(`${client}: ${duplicates} of ${sent} records came again\n`)
  })
})
