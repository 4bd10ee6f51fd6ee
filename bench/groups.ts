// How do many consumer groups live on one broker? 200 groups of 5 members come, work, and one of them shares its work out anew without end
// while the others go on; then a million offsets are committed. `node bench/groups.ts [GROUPS] [MEMBERS] [COMMITS]` prints times and memory.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestClient } from '../broker/doors/kafka/client.fixture.ts'
import { createTopics } from '../protocol/kafka/apis/create-topics.ts'
import { findCoordinator } from '../protocol/kafka/apis/find-coordinator.ts'
import { heartbeat } from '../protocol/kafka/apis/heartbeat.ts'
import { joinGroup } from '../protocol/kafka/apis/join-group.ts'
import { offsetCommit } from '../protocol/kafka/apis/offset-commit.ts'
import { syncGroup } from '../protocol/kafka/apis/sync-group.ts'

const [groupCount = 200, membersEach = 5, commits = 1_000_000] = process.argv.slice(2).map(Number)
const topic = 'bench'
const partitions = 16
const heartbeatMs = 250
const calmMs = 5_000

type Member = {
  readonly client: TestClient
  readonly groupId: string
  memberId: string
  generationId: number
}

/** Joins and takes its share. A member that says something else of itself than before (`round`) has the work shared out anew. */
async function settle(member: Member, round = 0): Promise<void> {
  for (;;) {
    const { client, groupId } = member
    const joined = await client.ask(joinGroup, 5, {
      groupId,
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 60_000,
      memberId: member.memberId,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(100, round) }],
    })
    member.memberId = joined.memberId
    if (joined.errorCode !== 0) continue
    member.generationId = joined.generationId
    const assignments = joined.members.map(({ memberId }) => ({ memberId, assignment: Buffer.alloc(100) }))
    const { memberId, generationId } = member
    const synced = await client.ask(syncGroup, 3, { groupId, generationId, memberId, assignments })
    if (synced.errorCode === 0) return
  }
}

/** A member lives: it is heard of every so often, and joins again when it is told to. Answers how long it waited for answers. */
async function live(member: Member, until: () => boolean, waitedMs: number[], again = settle): Promise<void> {
  while (!until()) {
    await new Promise(resolve => setTimeout(resolve, heartbeatMs))
    const { client, groupId, generationId, memberId } = member
    const startedMs = performance.now()
    const { errorCode } = await client.ask(heartbeat, 3, { groupId, generationId, memberId })
    waitedMs.push(performance.now() - startedMs)
    if (errorCode !== 0) await again(member)
  }
}

/** Shares out the work of one group anew, over and over; answers how long each time took. */
async function unrest(members: readonly Member[], until: () => boolean): Promise<number[]> {
  const tookMs: number[] = []
  for (let round = 1; !until(); round++) {
    const startedMs = performance.now()
    await Promise.all(members.map(member => settle(member, round % 256)))
    tookMs.push(performance.now() - startedMs)
  }
  return tookMs
}

async function commitMany(members: readonly Member[], count: number): Promise<void> {
  let left = count
  const work = async ({ client, groupId, generationId, memberId }: Member): Promise<void> => {
    for (let n = 0; left > 0; n++) {
      left -= partitions
      const all = Array.from({ length: partitions }, (_, partitionIndex) => ({
        partitionIndex,
        committedOffset: n,
        committedMetadata: '',
      }))
      await client.ask(offsetCommit, 7, {
        groupId,
        generationIdOrMemberEpoch: generationId,
        memberId,
        topics: [{ name: topic, partitions: all }],
      })
    }
  }
  await Promise.all(members.map(work))
}

const broker = await startBroker()
try {
  const first = await TestClient.open(broker.port)
  const plain = { name: topic, numPartitions: partitions, replicationFactor: 1, assignments: [], configs: [] }
  await first.ask(createTopics, 5, { topics: [plain] })
  await timed('__consumer_offsets is made', () => first.ask(findCoordinator, 4, { coordinatorKeys: ['g'] }))

  const members = await Promise.all(
    Array.from({ length: groupCount * membersEach }, async (_, n): Promise<Member> => ({
      client: await TestClient.open(broker.port),
      groupId: `group-${n % groupCount}`,
      memberId: '',
      generationId: -1,
    })),
  )
  await timed(`${groupCount} groups of ${membersEach} are stable`, () =>
    Promise.all(members.map(member => settle(member))),
  )

  for (const restless of [0, 1]) {
    const until = endsIn(calmMs)
    const waitedMs: number[] = []
    const one = members.filter(({ groupId }) => restless > 0 && groupId === 'group-0')
    const others = members.filter(member => !one.includes(member))
    const [tookMs] = await Promise.all([
      unrest(one, () => restless === 0 || until()),
      ...others.map(member => live(member, until, waitedMs)),
    ])
    say(restless > 0 ? 'heartbeats of the others while one group shares out anew' : 'heartbeats', waitedMs)
    if (restless > 0) say('one group shares out anew', tookMs)
  }

  const before = await broker.memoryMiB()
  const tookMs = await timed(`${commits} offsets committed by ${members.length} members`, () =>
    commitMany(members, commits),
  )
  print(
    `${Math.round((commits / tookMs) * 1000)} offsets a second; memory ${before} MiB before, ${await broker.memoryMiB()} MiB after`,
  )
  for (const { client } of [...members, { client: first }]) client.close()
} finally {
  await broker.stop()
}

async function startBroker() {
  const data = await mkdtemp(join(tmpdir(), 'stele-bench-'))
  const main = join(import.meta.dirname, '..', 'cli', 'main.ts')
  const args = [
    'start',
    '--json',
    `--data=${data}`,
    '--kafka=127.0.0.1:0',
    '--http=127.0.0.1:0',
    '--set=stele.log.level=warn',
  ]
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [ready] = (await once(child.stdout, 'data')) as [Buffer]
  const { kafka, http } = JSON.parse(ready.toString()) as { kafka: string; http: string }
  return {
    port: Number(kafka.split(':').at(-1)),
    memoryMiB: async (): Promise<number> => {
      const text = await (await fetch(`${http}/metrics`)).text()
      return Math.round(Number(/^process_resident_memory_bytes (\S+)/m.exec(text)?.[1]) / 2 ** 20)
    },
    stop: async (): Promise<void> => {
      child.kill('SIGTERM')
      await once(child, 'exit')
      await rm(data, { recursive: true, force: true })
    },
  }
}

function endsIn(ms: number): () => boolean {
  const endMs = performance.now() + ms
  return () => performance.now() >= endMs
}

async function timed(what: string, act: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await act()
  const tookMs = performance.now() - startedMs
  print(`${what}: ${Math.round(tookMs)} ms`)
  return tookMs
}

function say(what: string, ms: readonly number[]): void {
  const sorted = ms.toSorted((a, b) => a - b)
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1)
  print(`${what} (${ms.length}): median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
