/** Which broker a request is for: in come its path and query, out goes another broker's id, or nothing when it is served here. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { BrokerId } from '../../../base/quantities.ts'
import { Refusal } from '../../../base/refusals.ts'
import { offsetsTopic } from '../../../control/model.ts'
import type { Serving } from './serving.ts'
import { topicDefault } from './short-ways.ts'

/** Sends on what other brokers lead. Writes of records are not told apart here: one request may be for many tablets. */
export function forwardToLeaders(app: FastifyInstance, serving: Serving): void {
  app.addHook('onRequest', async (request, reply) => {
    const to = serving.router.brokers().length < 2 ? undefined : await leaderElsewhere(request, serving)
    return to === undefined ? undefined : serving.forwarding.forward(request, reply, to)
  })
}

async function leaderElsewhere(request: FastifyRequest, { router }: Serving): Promise<BrokerId | undefined> {
  const { topic, partition, group } = request.params as Readonly<Record<string, string | undefined>>
  if (group !== undefined && group !== '') return coordinator(group, request.method === 'POST', { router })
  const tablet =
    topic !== undefined && partition !== undefined ? { topic, partition } : tabletRead(request.url)
  return tablet === undefined || !/^\d{1,5}$/.test(tablet.partition)
    ? undefined
    : leader(tablet.topic, Number(tablet.partition), { router })
}

function leader(topic: string, partition: number, { router }: Pick<Serving, 'router'>): BrokerId | undefined {
  if (router.topics().get(topic)?.tablets[partition] === undefined) return undefined
  const id = router.leaderOf(topic, partition)?.id
  if (id === undefined)
    throw new Refusal('LEADER_NOT_AVAILABLE', `Nobody leads partition ${partition} of ${topic} now`)
  return id === router.self ? undefined : id
}

/** Who begins to use groups makes their topic; who only looks finds that there are none. */
async function coordinator(
  group: string,
  begins: boolean,
  { router }: Pick<Serving, 'router'>,
): Promise<BrokerId | undefined> {
  if (begins) await router.groups.ensureTopic()
  const partition = router.groups.partitionOf(group)
  return partition === undefined ? undefined : leader(offsetsTopic, partition, { router })
}

/** GET /read says its tablet in the query. */
function tabletRead(url: string): { readonly topic: string; readonly partition: string } | undefined {
  if (!/^\/read\/?(?:\?|$)/.test(url)) return undefined
  const query = new URLSearchParams(url.replace(/^[^?]*\??/, ''))
  return { topic: query.get('topic') ?? topicDefault, partition: query.get('partition') ?? '0' }
}
