import { agreedTo } from '../deleting.ts'
import { BrokerHttp, topicPath, type ErrorBody, type TopicDescription } from '../broker-http.ts'
import { Failure, usageFailure } from '../failure.ts'
import { plural, table } from '../format.ts'
import { tell, write, writeJson } from '../output.ts'

type Options = { readonly server: URL; readonly json?: true; readonly partition?: number[] }
type Elected = {
  readonly partition: number
  readonly leader: number | null
  readonly elected: boolean
  readonly error?: ErrorBody
}
type Moved = {
  readonly partition: number
  readonly replicas?: readonly number[]
  readonly adding?: readonly number[]
  readonly removing?: readonly number[]
  readonly error?: ErrorBody
}

/** Gives partitions back to their preferred leaders; with `unclean` those that nobody in sync can lead get one that was not. */
export async function electLeaders(
  name: string,
  options: Options & { readonly unclean?: true; readonly yes?: true },
): Promise<void> {
  const { partition: partitions, unclean } = options
  const which = partitions === undefined ? 'every partition' : `partition ${partitions.join(', ')}`
  if (unclean)
    await agreedTo(
      `let ${which} of ${name} that nobody in sync can lead be led by a replica that has only a part? The rest is lost`,
      'nothing was elected',
      options.yes ?? false,
    )
  const { elections } = await new BrokerHttp(options.server).json<{ elections: Elected[] }>(
    { method: 'POST', path: `${topicPath(name)}/elections` },
    { partitions, unclean },
  )
  if (options.json) await writeJson(elections)
  else {
    const rows = elections.map(({ partition, leader, elected, error }) => [
      partition,
      leader ?? 'none',
      error !== undefined ? error.code : elected ? 'elected' : unclean ? 'has a leader' : 'preferred already',
    ])
    await write(table([['PARTITION', 'LEADER', 'ELECTION'], ...rows]))
  }
  refuseIfAny(name, elections, elections.length)
}

/** Begins to move replicas, or takes moves back. */
export async function moveReplicas(
  name: string,
  options: Options & { readonly to?: number[]; readonly cancel?: true },
): Promise<void> {
  const { to, cancel } = options
  if ((to === undefined) === (cancel === undefined))
    throw usageFailure(
      'say where to, once',
      'Say --to with the brokers that shall have it, or --cancel to take back what is under way.',
    )
  if (to !== undefined && options.partition === undefined)
    throw usageFailure('--to needs its --partition', 'Each partition has brokers of its own.')
  const broker = new BrokerHttp(options.server)
  const partitions = options.partition ?? (await movingOf(broker, name))
  if (partitions.length === 0) {
    if (options.json) return writeJson([])
    return tell(`no partition of ${name} moves`)
  }
  const { moves } = await broker.json<{ moves: Moved[] }>(
    { method: 'POST', path: `${topicPath(name)}/moves` },
    { moves: partitions.map(partition => ({ partition, replicas: to ?? null })) },
  )
  if (options.json) await writeJson(moves)
  else {
    const rows = moves.map(({ partition, replicas = [], adding = [], removing = [], error }) => [
      partition,
      replicas.join(','),
      adding.join(',') || '-',
      removing.join(',') || '-',
      error?.code ?? (adding.length + removing.length > 0 ? 'begun' : 'is there already'),
    ])
    await write(table([['PARTITION', 'REPLICAS', 'NEW', 'GO', 'MOVE'], ...rows]))
  }
  refuseIfAny(name, moves, moves.length)
}

async function movingOf(broker: BrokerHttp, name: string): Promise<number[]> {
  const { partitions } = await broker.json<TopicDescription>({ method: 'GET', path: topicPath(name) })
  return partitions.flatMap(({ partition, adding = [], removing = [] }) =>
    adding.length + removing.length > 0 ? [partition] : [],
  )
}

/** @throws Failure with the first reason; all of them stand in what was written */
function refuseIfAny(
  name: string,
  results: readonly { readonly partition: number; readonly error?: ErrorBody }[],
  asked: number,
): void {
  const refused = results.filter(({ error }) => error !== undefined)
  const [first] = refused
  if (first?.error === undefined) return
  const others =
    refused.length === 1 ? '' : `, first of ${refused.length} refused of ${plural(asked, 'partition')}`
  const { code, message, todo } = first.error
  throw new Failure(`${name}${others}: ${message} (${code})`, todo)
}
