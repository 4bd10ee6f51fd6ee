import { agreed } from '../agreed.ts'
import { BrokerHttp } from '../broker-http.ts'
import { Failure, usageFailure } from '../failure.ts'
import { table } from '../format.ts'
import { write, writeJson } from '../output.ts'
import { describedGroup, type GroupDescription } from './describe.ts'

type Options = { readonly server: URL; readonly json?: true }

type GroupRow = {
  readonly group: string
  readonly state: string
  readonly members: number
  readonly lag: number
}

type Moved = {
  readonly topic: string
  readonly partition: number
  readonly from: number | null
  readonly to: number
}

export type Reset = {
  readonly topic?: string
  readonly partition?: number[]
  readonly earliest?: true
  readonly latest?: true
  readonly offset?: number
  readonly time?: string
  readonly shift?: number
  readonly dryRun?: true
}

const groupPath = (group: string): string => `/v1/groups/${encodeURIComponent(group)}`

export async function listGroups(options: Options): Promise<void> {
  const { groups } = await new BrokerHttp(options.server).json<{ groups: GroupRow[] }>({
    method: 'GET',
    path: '/v1/groups',
  })
  if (options.json) return writeJson(groups)
  if (groups.length === 0) {
    process.stderr.write('there is no group yet: any consumer with a group.id makes one\n')
    return
  }
  const rows = groups.map(({ group, state, members, lag }) => [group, state, members, lag])
  await write(table([['GROUP', 'STATE', 'MEMBERS', 'LAG'], ...rows]))
}

export async function describeGroup(name: string, options: Options): Promise<void> {
  const group = await new BrokerHttp(options.server).json<GroupDescription>({
    method: 'GET',
    path: groupPath(name),
  })
  await (options.json ? writeJson(group) : write(describedGroup(group)))
}

export async function resetGroup(name: string, options: Options & Reset): Promise<void> {
  const { topic, partition: partitions, dryRun } = options
  if (partitions !== undefined && topic === undefined) throw usageFailure('--partition needs its --topic')
  const { offsets } = await new BrokerHttp(options.server).json<{ offsets: Moved[] }>(
    { method: 'POST', path: `${groupPath(name)}/offsets` },
    { topic, partitions, dry_run: dryRun, ...whereTo(options) },
  )
  if (options.json) return writeJson(offsets)
  const rows = offsets.map(({ topic, partition, from, to }) => [topic, partition, from ?? '-', to])
  const heads = ['TOPIC', 'PARTITION', 'FROM', dryRun ? 'WOULD BE' : 'TO']
  await write(rows.length === 0 ? 'the group has committed nothing\n' : table([heads, ...rows]))
}

/** Exactly one way to say where to. */
function whereTo({ earliest, latest, offset, time, shift }: Reset): object {
  const ways = [
    earliest && { offset: 'earliest' },
    latest && { offset: 'latest' },
    offset !== undefined && { offset },
    time !== undefined && { timestamp: time },
    shift !== undefined && { shift },
  ].filter(way => typeof way === 'object')
  const [way] = ways
  if (way !== undefined && ways.length === 1) return way
  throw usageFailure('say where to, once', 'Say --earliest, --latest, --offset, --time or --shift.')
}

export async function deleteGroups(
  names: string[],
  options: Options & { readonly yes?: true },
): Promise<void> {
  if (!options.yes && process.stdin.isTTY && !(await agreed(`delete ${names.join(', ')} with all offsets?`)))
    throw new Failure('nothing was deleted')
  const broker = new BrokerHttp(options.server)
  for (const name of names) {
    await broker.json({ method: 'DELETE', path: groupPath(name) })
    if (!options.json) await write(`deleted ${name}\n`)
  }
  if (options.json) await writeJson(names)
}
