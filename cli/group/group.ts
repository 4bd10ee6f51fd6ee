import { BrokerHttp, groupPath } from '../broker-http.ts'
import { agreedToDelete, deleteAll } from '../deleting.ts'
import { usageFailure } from '../failure.ts'
import { shortened, table } from '../format.ts'
import { tell, write, writeJson } from '../output.ts'
import { printable } from '../printable.ts'
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
  readonly from: number | string | null
  readonly to: number
  readonly asked?: number
}

type ResetAnswer = { readonly new_group: boolean; readonly offsets: readonly Moved[] }

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
  // Behind the name stand some 40 characters; a pipe gets it whole.
  const nameCharsMax = process.stdout.isTTY ? Math.max(20, (process.stdout.columns || 80) - 40) : Infinity
  const rows = groups
    .toSorted((a, b) => (a.group < b.group ? -1 : 1))
    .map(({ group, state, members, lag }) => [shortened(printable(group), nameCharsMax), state, members, lag])
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
  const answer = await new BrokerHttp(options.server).json<ResetAnswer>(
    { method: 'POST', path: `${groupPath(name)}/offsets` },
    { topic, partitions, dry_run: dryRun, ...whereTo(options) },
  )
  if (options.json) return writeJson(answer)
  const { offsets, new_group } = answer
  const rows = offsets.map(({ topic, partition, from, to }) => [topic, partition, from ?? '-', to])
  const heads = ['TOPIC', 'PARTITION', 'FROM', dryRun ? 'WOULD BE' : 'TO']
  await write(rows.length === 0 ? 'the group has committed nothing\n' : table([heads, ...rows]))
  if (new_group) tell(`the group ${name} ${dryRun ? 'would be' : 'is'} new: there was none of that name`)
  for (const { topic, partition, asked, to } of offsets) {
    if (asked !== undefined) tell(`${topic}-${partition} does not reach ${asked}: its nearest end is ${to}`)
  }
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
  names.forEach(groupPath)
  await agreedToDelete(names, 'offsets', options.yes ?? false)
  const broker = new BrokerHttp(options.server)
  await deleteAll(names, options.json ?? false, name =>
    broker.json({ method: 'DELETE', path: groupPath(name) }),
  )
}
