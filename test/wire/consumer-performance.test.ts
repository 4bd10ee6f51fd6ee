import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AssignerProtocol, type Admin } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { startBroker, type Broker } from './broker.ts'
import { launchTool } from './java.ts'
import { produce } from './kcat.ts'
import { story, type Running } from './processes.ts'
import { needs, needsOwnBroker } from './tools.ts'
import { createTopic, freshTopic, kafkajsClient } from './topics.ts'
import { until } from './until.ts'

needs('kcat', 'java', 'mvn')
needsOwnBroker()

const partitions = 6
/** No run ends by its patience: it ends when it has what it wanted, or is killed. */
const patienceMs = 200_000

/**
 * The tool says how many records it has consumed, and not which: at its end, or (`running`) at the first record of each poll. That nothing is
 * lost is told by its totals together with what the group has committed.
 */
class Tale {
  readonly group = freshTopic('group')
  readonly #running = new Set<Running>()
  #topic = ''
  #data = ''
  #broker: Broker | undefined
  sent = 0

  static async begin(): Promise<Tale> {
    const tale = new Tale()
    tale.#data = await mkdtemp(join(tmpdir(), 'stele-consumer-performance-'))
    tale.#broker = await startBroker({ data: tale.#data })
    tale.#topic = await createTopic(tale.kafka, 'consumer-performance', partitions)
    return tale
  }

  get kafka(): string {
    return this.#broker?.kafka ?? ''
  }

  async end(): Promise<void> {
    for (const running of this.#running) await running.kill('SIGKILL')
    await this.#broker?.stop()
    await rm(this.#data, { recursive: true, force: true })
  }

  async killBroker(): Promise<void> {
    const { kafka } = this
    await this.#broker?.kill('SIGKILL')
    this.#broker = await startBroker({ data: this.#data, kafka })
  }

  async join(name: string, wanted: number, commitMs = 200, more: readonly string[] = []): Promise<Running> {
    const where = ['--bootstrap-server', this.kafka, '--topic', this.#topic, '--group', this.group]
    const settings = [
      'session.timeout.ms=6000',
      'heartbeat.interval.ms=500',
      `auto.commit.interval.ms=${commitMs}`,
      `client.id=${name}`,
    ]
    const asked = settings.flatMap(setting => ['--command-property', setting])
    const till = ['--num-records', String(wanted), '--timeout', String(patienceMs), '--hide-header']
    const all = [...where, ...asked, ...till, ...more]
    const running = await launchTool('org.apache.kafka.tools.ConsumerPerformance', all)
    this.#running.add(running)
    return running
  }

  /** As many records to each of `into`. */
  async send(inEach: number, into: readonly number[] = [0, 1, 2, 3, 4, 5]): Promise<void> {
    for (const partition of into)
      await produce(this.kafka, this.#topic, ['-p', String(partition)], 'a record\n'.repeat(inEach))
    this.sent += inEach * into.length
  }

  /** The partitions of each member by its name, once `members` have some each. */
  async shared(members: number): Promise<Map<string, number[]>> {
    let shares = new Map<string, number[]>()
    await this.#asking(admin =>
      until(async () => {
        const { groups } = await admin.describeGroups([this.group])
        const [group] = groups
        shares = new Map(
          (group?.members ?? []).map(({ clientId, memberAssignment }) => [
            clientId,
            AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[this.#topic] ?? [],
          ]),
        )
        if (members === 0) return group?.state === 'Empty'
        const given = [...shares.values()]
        return group?.state === 'Stable' && given.length === members && given.every(share => share.length > 0)
      }),
    )
    return shares
  }

  /** How many records lie behind what the group has committed. */
  async behind(): Promise<number> {
    return this.#asking(async admin => {
      const ends = await admin.fetchTopicOffsets(this.#topic)
      const [committed] = await admin.fetchOffsets({ groupId: this.group, topics: [this.#topic] })
      expect(ends.reduce((sum, { offset }) => sum + Number(offset), 0)).toBe(this.sent)
      return ends.reduce((sum, { partition, offset }) => {
        const done = committed?.partitions.find(one => one.partition === partition)?.offset ?? '0'
        return sum + Number(offset) - Math.max(0, Number(done))
      }, 0)
    })
  }

  /** Until all but `count` of what was sent is committed, so that somebody has consumed it. */
  allBut(count: number): Promise<void> {
    return until(async () => (await this.behind()) === count)
  }

  async #asking<Answer>(ask: (admin: Admin) => Promise<Answer>): Promise<Answer> {
    const admin = kafkajsClient(this.kafka).admin()
    await admin.connect()
    try {
      return await ask(admin)
    } finally {
      await admin.disconnect()
    }
  }
}

/** The last total that a run has told so far. */
const total = ({ stdout }: Running): number =>
  Number(
    stdout()
      .split('\n')
      .findLast(line => /^\d{4}-.*\d, /.test(line))
      ?.split(',')[4] ?? 0,
  )

async function ended(running: Running): Promise<number> {
  const outcome = await running.ended
  if (outcome.code !== 0 || outcome.stdout.includes('WARNING')) throw new Error(story(outcome))
  return total(running)
}

describe("Kafka's ConsumerPerformance", () => {
  test('two of a group share a topic, a third joins, one is killed, all leave, the broker is killed, one resumes', async ({
    onTestFinished,
  }) => {
    const tale = await Tale.begin()
    onTestFinished(() => tale.end())
    await tale.send(50)
    const wanted = 3_000
    const a = await tale.join('a', wanted)
    // It tells what it has so far, and commits only when the work is shared out anew.
    const telling = ['--show-detailed-stats', '--reporting-interval', '1']
    const b = await tale.join('b', wanted, 3_600_000, telling)
    await tale.shared(2)
    await until(() => total(b) > 0)
    const c = await tale.join('c', wanted)
    const ofB = (await tale.shared(3)).get('b') ?? []
    await tale.send(20)
    await tale.allBut(20 * ofB.length)

    // What comes alone is in a poll of its own: then the total is all that was consumed.
    for (const partition of [...ofB, ...ofB]) {
      const before = total(b)
      await tale.send(1, [partition])
      await until(() => total(b) > before)
    }
    const uncommitted = await tale.behind()
    expect(uncommitted).toBe(22 * ofB.length)
    await b.kill('SIGKILL')
    await tale.send(10)
    await tale.allBut(0)
    expect([...(await tale.shared(2)).values()].flat().toSorted((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5])

    // Each leaves when it has what it wanted; who is left has all the work.
    let left = 2
    for (const running of [a, c]) void running.ended.then(() => (left -= 1))
    await until(async () => {
      await tale.send(100)
      await until(async () => left === 0 || (await tale.behind()) === 0)
      return left === 0
    })
    const totals = [await ended(a), total(b), await ended(c)]
    await tale.shared(0)
    await tale.killBroker()
    await tale.send(10)
    // What was committed does not come again: as many as lie behind it are all there is.
    const rest = await tale.behind()
    expect(rest).toBeGreaterThanOrEqual(10 * partitions)
    const d = await tale.join('d', rest)
    totals.push(await ended(d))
    expect(totals.at(-1)).toBe(rest)
    expect(await tale.behind()).toBe(0)

    // Only what the one that was killed had not committed may have come again, and has.
    const duplicates = totals.reduce((sum, one) => sum + one, 0) - tale.sent
    expect(duplicates).toBe(uncommitted)
    process.stderr.write(`ConsumerPerformance: ${duplicates} of ${tale.sent} records came again\n`)
  })
})
