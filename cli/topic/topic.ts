import { BrokerHttp, topicPath, type TopicDescription, type TopicRow } from '../broker-http.ts'
import { agreedToDelete, deleteAll } from '../deleting.ts'
import { usageFailure } from '../failure.ts'
import { plural, table } from '../format.ts'
import { write, writeJson } from '../output.ts'
import { describedTopic } from './describe.ts'

type Options = { readonly server: URL; readonly json?: true }
type Changes = { readonly partitions?: number; readonly config?: Record<string, string> }

export async function createTopic(
  name: string,
  options: Options & Changes & { readonly replicationFactor?: number },
): Promise<void> {
  const made = await new BrokerHttp(options.server).json<TopicDescription>(
    { method: 'POST', path: '/v1/topics' },
    {
      name,
      partitions: options.partitions,
      replication_factor: options.replicationFactor,
      config: options.config,
    },
  )
  if (options.json) return writeJson(made)
  const replicas = made.partitions[0]?.replicas.length ?? 0
  await write(
    `made ${name}: ${plural(made.partitions.length, 'partition')}, each on ${plural(replicas, 'broker')}\n`,
  )
}

export async function listTopics(options: Options): Promise<void> {
  const { topics } = await new BrokerHttp(options.server).json<{ topics: TopicRow[] }>({
    method: 'GET',
    path: '/v1/topics',
  })
  if (options.json) return writeJson(topics)
  if (topics.length === 0) {
    process.stderr.write(
      'there is no topic yet: make one with `stele topic create NAME`, or just write to it\n',
    )
    return
  }
  const rows = topics.map(topic => [topic.name, topic.partitions, topic.replication_factor])
  await write(table([['TOPIC', 'PARTITIONS', 'REPLICAS'], ...rows]))
}

export async function describeTopic(name: string, options: Options & { readonly all?: true }): Promise<void> {
  const topic = await new BrokerHttp(options.server).json<TopicDescription>({
    method: 'GET',
    path: topicPath(name),
  })
  await (options.json ? writeJson(topic) : write(describedTopic(topic, options.all ?? false)))
}

export async function alterTopic(
  name: string,
  options: Options & Changes & { readonly unset?: string[] },
): Promise<void> {
  const { partitions, config, unset = [] } = options
  if (partitions === undefined && config === undefined && unset.length === 0) {
    throw usageFailure('nothing to change', 'Say --partitions, --config or --unset.')
  }
  const both = unset.find(setting => config?.[setting] !== undefined)
  if (both !== undefined) throw usageFailure(`${both} cannot be set and unset at once`)
  const changed = await new BrokerHttp(options.server).json<TopicDescription>(
    { method: 'PATCH', path: topicPath(name) },
    { partitions, config: { ...config, ...Object.fromEntries(unset.map(setting => [setting, null])) } },
  )
  await (options.json ? writeJson(changed) : write(describedTopic(changed, false)))
}

export async function deleteTopics(
  names: string[],
  options: Options & { readonly yes?: true },
): Promise<void> {
  names.forEach(topicPath)
  await agreedToDelete(names, 'records', options.yes ?? false)
  const broker = new BrokerHttp(options.server)
  await deleteAll(names, options.json ?? false, name =>
    broker.json({ method: 'DELETE', path: topicPath(name) }),
  )
}
