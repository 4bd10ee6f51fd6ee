/**
 * Everything that can be asked about groups, well and badly, in every version. A broker's port enters; what leaves is each answer, with what
 * differs from run to run (ids, ports) given names. What always holds: the same questions in the same order.
 */
import { TestClient } from '../../../broker/doors/kafka/client.fixture.ts'
import { createTopics } from '../../../protocol/kafka/apis/create-topics.ts'
import { deleteGroups } from '../../../protocol/kafka/apis/delete-groups.ts'
import { deleteTopics } from '../../../protocol/kafka/apis/delete-topics.ts'
import { describeGroups } from '../../../protocol/kafka/apis/describe-groups.ts'
import { findCoordinator } from '../../../protocol/kafka/apis/find-coordinator.ts'
import { heartbeat } from '../../../protocol/kafka/apis/heartbeat.ts'
import { joinGroup } from '../../../protocol/kafka/apis/join-group.ts'
import { leaveGroup } from '../../../protocol/kafka/apis/leave-group.ts'
import { listGroups } from '../../../protocol/kafka/apis/list-groups.ts'
import { offsetCommit } from '../../../protocol/kafka/apis/offset-commit.ts'
import { offsetDelete } from '../../../protocol/kafka/apis/offset-delete.ts'
import { offsetFetch } from '../../../protocol/kafka/apis/offset-fetch.ts'
import { syncGroup } from '../../../protocol/kafka/apis/sync-group.ts'
import { ranges } from './compare.ts'
import { versionsOf } from './interview.ts'
import type { Api, Read, RequestOf, Shape, Written } from '../../../protocol/kafka/schema.ts'

const stranger = { generationId: 1, memberId: 'stranger' }
const consumerRange = { protocolType: 'consumer', protocolName: 'range' }
const protocol = (name: string, metadata = Buffer.from('m')) => [{ name, metadata }]
/** A subscription to `t`, as consumers write it. */
const readsT = Buffer.from('00000000000100017400000000', 'hex')

const joins = (groupId: string, wanted: Partial<RequestOf<typeof joinGroup>> = {}) => ({
  groupId,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 20_000,
  memberId: '',
  protocolType: 'consumer',
  protocols: protocol('range'),
  ...wanted,
})

type AskedPartition = RequestOf<typeof offsetCommit>['topics'][number]['partitions'][number]
const place = (wanted: Partial<AskedPartition> = {}) => ({
  partitionIndex: 0,
  committedOffset: 5,
  committedMetadata: null,
  ...wanted,
})
type Commit = Partial<RequestOf<typeof offsetCommit>>
const commits = (groupId: string, wanted: Commit = {}, partitions = [place()], topic = 't') => ({
  groupId,
  memberId: '',
  topics: [{ name: topic, partitions }],
  ...wanted,
})
const placesOf = (...topics: readonly [name: string, ...partitions: number[]][]) =>
  topics.map(([name, ...partitions]) => ({
    name,
    partitions: partitions.map(partitionIndex => ({ partitionIndex })),
  }))

/** Asks a broker and writes down what it answers. */
export class GroupInterview {
  readonly #client: TestClient
  readonly #port: number
  /** By question, by answer: the versions that gave it. */
  readonly #answers = new Map<string, Map<string, number[]>>()
  readonly #ids = new Map<string, string>()

  private constructor(client: TestClient, port: number) {
    this.#client = client
    this.#port = port
  }

  /** Everything that was asked and answered, a line a question and answer. */
  static async hold(port: number): Promise<string[]> {
    const client = await TestClient.open(port)
    const interview = new GroupInterview(client, port)
    try {
      await interview.#prepare()
      for (const theme of themes) await theme(interview)
      return interview.#lines()
    } finally {
      client.close()
    }
  }

  async ask<Request extends Shape, Response extends Shape>(
    what: string,
    api: Api<Request, Response>,
    version: number,
    body: Written<Request>,
  ): Promise<Read<Response>> {
    const answer = await this.#client.ask(api, version, body)
    this.note(`${api.name}: ${what}`, version, answer)
    return answer
  }

  note(what: string, version: number, answer: unknown): void {
    // Who stands outside of lists, or is known already, goes by a name before lists are put in order; others get one then.
    const { lists, rest } = apart(plain(answer))
    const known = this.#named(JSON.stringify(rest))
    const listed = JSON.stringify(lists).replaceAll(memberIds, id => this.#ids.get(id) ?? id)
    const text = known + this.#named(JSON.stringify(inOrder(JSON.parse(listed))))
    const answers = this.#answers.get(what) ?? new Map<string, number[]>()
    this.#answers.set(what, answers)
    answers.set(text, [...(answers.get(text) ?? []), version])
  }

  /** A second client, for those who have to wait for the first. */
  other(): Promise<TestClient> {
    return TestClient.open(this.#port)
  }

  /** A member that is alone in its group and has its share. */
  async member(groupId: string, wanted: Partial<RequestOf<typeof joinGroup>> = {}): Promise<string> {
    const { memberId } = await this.#client.ask(joinGroup, 3, joins(groupId, wanted))
    await this.#client.ask(syncGroup, 3, { groupId, generationId: 1, memberId, assignments: [] })
    return memberId
  }

  /** Asks without writing down. */
  quietly<Request extends Shape, Response extends Shape>(
    api: Api<Request, Response>,
    version: number,
    body: Written<Request>,
  ): Promise<Read<Response>> {
    return this.#client.ask(api, version, body)
  }

  async #prepare(): Promise<void> {
    const plain = { numPartitions: 3, replicationFactor: 1, assignments: [], configs: [] }
    const topics = ['t', 'u'].map(name => ({ ...plain, name }))
    await this.#client.ask(createTopics, 5, { topics })
    // A broker that has just started says so for a while.
    const ready = async (): Promise<boolean> => {
      await this.#client.ask(findCoordinator, 0, { key: 'any' })
      const codes = await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const groupId = `warm-${n}`
          return (await this.#client.ask(heartbeat, 0, { groupId, ...stranger })).errorCode
        }),
      )
      return codes.every(code => code === 25)
    }
    while (!(await ready())) await new Promise(resolve => setTimeout(resolve, 100))
  }

  /** Ids are called by who has them and in which order they came. */
  #named(text: string): string {
    return text
      .replaceAll(memberIds, found => {
        const name = this.#ids.get(found) ?? `${found.slice(0, -36)}${this.#ids.size}`
        this.#ids.set(found, name)
        return name
      })
      .replaceAll(`"port":${this.#port}`, '"port":"ours"')
      .replaceAll(/"nodeId":[01]\b/g, '"nodeId":"ours"')
  }

  #lines(): string[] {
    const lines: string[] = []
    for (const [what, answers] of this.#answers)
      for (const [text, versions] of answers) lines.push(`${what} (${ranges(versions)}): ${text}`)
    return lines
  }
}

const memberIds = /[\w-]*?-?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g

/** Bytes as text. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('latin1')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]))
}

/** The lists of an answer, and what is beside them. */
function apart(answer: unknown): { lists: object; rest: object } {
  const fields = Object.entries(answer as object)
  return {
    lists: Object.fromEntries(fields.filter(([, field]) => Array.isArray(field))),
    rest: Object.fromEntries(fields.filter(([, field]) => !Array.isArray(field))),
  }
}

/** Lists mean sets in these answers. Whoever has no name yet comes last. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) {
    const keyed = value
      .map(inOrder)
      .map(item => ({ item, key: JSON.stringify(item).replaceAll(memberIds, '~') }))
    return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ item }) => item)
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, inOrder(field)]))
}

type Theme = (interview: GroupInterview) => Promise<void>

const coordinators: Theme = async i => {
  for (const version of versionsOf(findCoordinator)) {
    await i.ask(
      'a group',
      findCoordinator,
      version,
      version < 4 ? { key: 'g' } : { coordinatorKeys: ['g', ''] },
    )
  }
}

const strangers: Theme = async i => {
  for (const version of versionsOf(joinGroup)) {
    await i.ask('no group name', joinGroup, version, joins(''))
    await i.ask('a session too short', joinGroup, version, joins('g', { sessionTimeoutMs: 1 }))
    await i.ask('a session too long', joinGroup, version, joins('g', { sessionTimeoutMs: 2_000_000_000 }))
    await i.ask('an unknown member', joinGroup, version, joins('none', { memberId: 'stranger' }))
    await i.ask('no protocols', joinGroup, version, joins(`p${version}`, { protocols: [] }))
    await i.ask('no protocol type', joinGroup, version, joins(`t${version}`, { protocolType: '' }))
  }
  for (const version of versionsOf(heartbeat)) {
    await i.ask('an unknown group', heartbeat, version, { groupId: 'none', ...stranger })
    await i.ask('no group name', heartbeat, version, { groupId: '', ...stranger })
  }
  for (const version of versionsOf(syncGroup)) {
    const asked = { ...stranger, ...consumerRange, assignments: [] }
    await i.ask('an unknown group', syncGroup, version, { groupId: 'none', ...asked })
    await i.ask('no group name', syncGroup, version, { groupId: '', ...asked })
    await i.ask('no protocol', syncGroup, version, { groupId: 'none', ...stranger, assignments: [] })
  }
  for (const version of versionsOf(leaveGroup)) {
    const many = { members: [{ memberId: 'm' }, { memberId: '', groupInstanceId: 'i' }] }
    const leavers = version < 3 ? { memberId: 'm' } : many
    await i.ask('an unknown group', leaveGroup, version, { groupId: 'none', ...leavers })
    await i.ask('no group name', leaveGroup, version, { groupId: '', ...leavers })
  }
  for (const version of versionsOf(describeGroups)) {
    const groups = ['none', '']
    await i.ask('unknown groups', describeGroups, version, { groups, includeAuthorizedOperations: true })
  }
  for (const version of versionsOf(deleteGroups))
    await i.ask('unknown groups', deleteGroups, version, { groupsNames: ['none', ''] })
  await i.ask('an unknown group', offsetDelete, 0, { groupId: 'none', topics: placesOf(['t', 0]) })
  await i.ask('no group name', offsetDelete, 0, { groupId: '', topics: [] })
}

const offsetsOutsideOfGroups: Theme = async i => {
  const topics = [
    { name: 't', partitionIndexes: [0, 9] },
    { name: 'nowhere', partitionIndexes: [0] },
  ]
  for (const version of versionsOf(offsetFetch)) {
    for (const groupId of ['none', '']) {
      const what = groupId === '' ? 'no group name' : 'an unknown group'
      await i.ask(
        what,
        offsetFetch,
        version,
        version < 8 ? { groupId, topics } : { groups: [{ groupId, topics }] },
      )
    }
  }
  for (const version of versionsOf(offsetFetch, 2)) {
    const all = { groupId: 'none', topics: null }
    await i.ask('all of an unknown group', offsetFetch, version, version < 8 ? all : { groups: [all] })
  }
  for (const version of versionsOf(offsetCommit)) {
    const simple = [
      place(),
      place({ partitionIndex: 1, committedMetadata: 'meta', committedLeaderEpoch: 3 }),
      place({ partitionIndex: 9 }),
      place({ partitionIndex: -1 }),
    ]
    const long = [
      place({ committedMetadata: 'x'.repeat(4097) }),
      place({ committedMetadata: 'x'.repeat(4096) }),
    ]
    const asMember = { generationIdOrMemberEpoch: 3, memberId: 'm' }
    await i.ask('without a group', offsetCommit, version, commits(`s${version}`, {}, simple))
    await i.ask('an unknown topic', offsetCommit, version, commits(`u${version}`, {}, [place()], 'nowhere'))
    await i.ask('a member of an unknown group', offsetCommit, version, commits(`m${version}`, asMember))
    await i.ask(
      'a member without generation',
      offsetCommit,
      version,
      commits(`n${version}`, { memberId: 'm' }),
    )
    await i.ask('too much metadata', offsetCommit, version, commits(`l${version}`, {}, [long[0] ?? place()]))
    await i.ask('much metadata', offsetCommit, version, commits(`l${version}`, {}, [long[1] ?? place()]))
    await i.ask(
      'a negative offset',
      offsetCommit,
      version,
      commits(`o${version}`, {}, [place({ committedOffset: -5 })]),
    )
    await i.ask('nothing', offsetCommit, version, { groupId: `e${version}`, memberId: '', topics: [] })
    await i.ask('no group name', offsetCommit, version, commits(''))
  }
  await i.ask('all', offsetFetch, 7, { groupId: 's9', topics: null })
  await i.ask('some', offsetFetch, 5, { groupId: 's9', topics: [{ name: 't', partitionIndexes: [1, 0, 2] }] })
  const groups = ['s9', 'o9', ''].map(groupId => ({ groupId, memberId: 'x', memberEpoch: 7, topics: null }))
  await i.ask('all of several groups', offsetFetch, 9, { groups, requireStable: true })
  await i.ask('a group without members', describeGroups, 5, {
    groups: ['s9'],
    includeAuthorizedOperations: true,
  })
  await i.ask('with a retention', offsetCommit, 2, commits('r', { retentionTimeMs: 100_000 }))
  const doomed = placesOf(['t', 0, 2, 9], ['nowhere', 0])
  await i.ask('of a group without members', offsetDelete, 0, { groupId: 's9', topics: doomed })
  await i.ask('what is left', offsetFetch, 7, { groupId: 's9', topics: null })
}

const lifeOfAMember: Theme = async i => {
  for (const version of versionsOf(joinGroup)) {
    const groupId = `life-${version}`
    const synced = Math.min(version, 5)
    const heard = Math.min(version, 4)
    let { errorCode, memberId } = await i.ask('a new member', joinGroup, version, joins(groupId))
    if (errorCode === 79)
      ({ errorCode, memberId } = await i.ask('with its id', joinGroup, version, joins(groupId, { memberId })))
    const me = { groupId, generationId: 1, memberId }
    const mine = { generationIdOrMemberEpoch: 1, memberId }
    await i.ask('before the shares', heartbeat, heard, me)
    await i.ask('before the shares', offsetCommit, 8, commits(groupId, mine))
    await i.ask('before the shares', describeGroups, 5, {
      groups: [groupId],
      includeAuthorizedOperations: false,
    })
    await i.ask('once more, the same', joinGroup, version, joins(groupId, { memberId }))
    const share = { ...me, ...consumerRange, assignments: [{ memberId, assignment: Buffer.from('A') }] }
    await i.ask('of another generation', syncGroup, synced, { ...share, generationId: 7 })
    await i.ask('of another protocol', syncGroup, 5, { ...share, protocolName: 'sticky' })
    await i.ask('the leader', syncGroup, synced, share)
    await i.ask('once more', syncGroup, synced, { ...share, assignments: [] })
    await i.ask('a member', heartbeat, heard, me)
    await i.ask('of an older generation', heartbeat, heard, { ...me, generationId: 0 })
    await i.ask('a stranger', heartbeat, heard, { ...me, memberId: 'stranger' })
    await i.ask('under a name nobody has', heartbeat, 4, { ...me, groupInstanceId: 'i' })
    await i.ask('a member', offsetCommit, 8, commits(groupId, mine))
    await i.ask(
      'of an older generation',
      offsetCommit,
      8,
      commits(groupId, { ...mine, generationIdOrMemberEpoch: 0 }),
    )
    await i.ask('without a generation', offsetCommit, 8, commits(groupId, { memberId }))
    await i.ask('from outside', offsetCommit, 8, commits(groupId))
    await i.ask('a stranger', offsetCommit, 8, commits(groupId, { ...mine, memberId: 'stranger' }))
    await i.ask('with other protocols', joinGroup, version, joins(groupId, { protocols: protocol('sticky') }))
    await i.ask('of another type', joinGroup, version, joins(groupId, { protocolType: 'connect' }))
    await i.ask('at work', describeGroups, 5, { groups: [groupId], includeAuthorizedOperations: true })
    await i.ask('at work', deleteGroups, 2, { groupsNames: [groupId] })
    await i.ask('of a group at work', offsetDelete, 0, { groupId, topics: placesOf(['t', 0], ['u', 0]) })
    const leavers = [{ memberId }, { memberId: 'z' }, { memberId: '', groupInstanceId: 'i' }]
    const leaving =
      synced < 3 ? { memberId } : { members: [...leavers, { memberId: 'z', groupInstanceId: 'i' }] }
    await i.ask('a member and others', leaveGroup, synced, { groupId, ...leaving })
    await i.ask('left', describeGroups, 5, { groups: [groupId], includeAuthorizedOperations: false })
    await i.ask('left, from outside', offsetCommit, 8, commits(groupId))
    await i.ask('left', offsetCommit, 8, commits(groupId, mine))
    await i.ask('left', heartbeat, heard, me)
    await i.ask('left', syncGroup, 5, { ...share, generationId: 2 })
    await i.ask('left', deleteGroups, 2, { groupsNames: [groupId, groupId] })
    await i.ask('deleted', offsetFetch, 7, { groupId, topics: null })
  }
}

const staticMembers: Theme = async i => {
  for (const version of versionsOf(joinGroup, 5)) {
    const groupId = `static-${version}`
    const named = { groupInstanceId: 'name' }
    const { memberId: old } = await i.ask('a static member', joinGroup, version, joins(groupId, named))
    const before = { groupId, generationId: 1, memberId: old, ...named }
    const share = [{ memberId: old, assignment: Buffer.from('S') }]
    await i.ask('a static member', syncGroup, 5, { ...before, ...consumerRange, assignments: share })
    const { memberId } = await i.ask('a static member again', joinGroup, version, joins(groupId, named))
    await i.ask('replaced', heartbeat, 4, before)
    await i.ask('replaced, without its name', heartbeat, 4, { ...before, groupInstanceId: null })
    await i.ask('replaced', syncGroup, 5, { ...before, ...consumerRange, assignments: [] })
    await i.ask('replaced', joinGroup, version, joins(groupId, { ...named, memberId: old }))
    const mine = { generationIdOrMemberEpoch: 1, memberId: old, ...named }
    await i.ask('replaced', offsetCommit, 8, commits(groupId, mine))
    const now = { ...before, memberId }
    await i.ask('a static member again', syncGroup, 5, { ...now, ...consumerRange, assignments: [] })
    await i.ask('a static member again', heartbeat, 4, now)
    await i.ask('a static member, without its name', heartbeat, 4, { ...now, groupInstanceId: null })
    await i.ask('with a static member', describeGroups, 5, {
      groups: [groupId],
      includeAuthorizedOperations: false,
    })
    await i.ask('replaced', leaveGroup, 5, { groupId, members: [{ memberId: old, ...named }] })
    await i.ask('by its name', leaveGroup, 5, { groupId, members: [{ memberId: '', ...named }] })
  }
}

const asMember = (memberId: string) => ({ generationIdOrMemberEpoch: 1, memberId })

const deletedOffsets: Theme = async i => {
  const connect = await i.member('connect', { protocolType: 'connect' })
  await i.ask('of another kind of group', offsetCommit, 8, commits('connect', asMember(connect)))
  await i.ask('of another kind of group', offsetDelete, 0, { groupId: 'connect', topics: placesOf(['t', 0]) })
  const reader = asMember(await i.member('reader', { protocols: protocol('range', readsT) }))
  await i.ask('of a topic that is read', offsetCommit, 8, commits('reader', reader))
  await i.ask('of a topic that is not read', offsetCommit, 8, commits('reader', reader, [place()], 'u'))
  const both = placesOf(['t', 0], ['u', 0])
  await i.ask('of topics read and not', offsetDelete, 0, { groupId: 'reader', topics: both })
  await i.ask('left of topics read and not', offsetFetch, 7, { groupId: 'reader', topics: null })
}

const rebalance: Theme = async i => {
  const groupId = 'rebalance'
  const memberId = await i.member(groupId)
  const me = { groupId, generationId: 1, memberId }
  const other = await i.other()
  try {
    const joining = other.ask(joinGroup, 3, joins(groupId))
    while ((await i.quietly(heartbeat, 3, me)).errorCode === 0)
      await new Promise(resolve => setTimeout(resolve, 20))
    await i.ask('while others join', heartbeat, 3, me)
    await i.ask('while others join', syncGroup, 3, { ...me, assignments: [] })
    await i.ask(
      'while others join',
      offsetCommit,
      8,
      commits(groupId, { generationIdOrMemberEpoch: 1, memberId }),
    )
    await i.ask('while others join', deleteGroups, 2, { groupsNames: [groupId] })
    await i.ask('the leader again', joinGroup, 3, joins(groupId, { memberId }))
    i.note('JoinGroup: the other', 3, await joining)
    await i.ask('before the new shares', heartbeat, 3, me)
  } finally {
    other.close()
  }
}

const lists: Theme = async i => {
  const list = async (what: string, asked: Partial<RequestOf<typeof listGroups>>): Promise<void> => {
    await i.ask(what, listGroups, 5, asked)
  }
  await list('of two states', { statesFilter: ['stable', 'EMPTY'], typesFilter: ['Classic'] })
  await list('of no known state', { statesFilter: ['nope'] })
  await list('of no known type', { typesFilter: ['nope'] })
  await list('of another type', { typesFilter: ['consumer'] })
  await i.quietly(offsetCommit, 8, commits('gone', {}, [place()], 'u'))
  await i.quietly(deleteTopics, 5, { topicNames: ['u'], timeoutMs: 5_000 })
  const left = async () => (await i.quietly(offsetFetch, 7, { groupId: 'gone', topics: null })).topics.length
  while ((await left()) > 0) await new Promise(resolve => setTimeout(resolve, 20))
  await i.ask('of a topic that is gone', offsetFetch, 7, { groupId: 'gone', topics: null })
}

const themes: readonly Theme[] = [
  coordinators,
  strangers,
  offsetsOutsideOfGroups,
  lifeOfAMember,
  staticMembers,
  deletedOffsets,
  rebalance,
  lists,
]
