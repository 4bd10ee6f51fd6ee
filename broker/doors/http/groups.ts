import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../../../base/refusals.ts'
import type { CoordinatedGroup } from '../../groups/coordinator.ts'
import type { Router } from '../../router/router.ts'
import { withBody } from './body.ts'
import { deleteGroupDocs, describeGroupDocs, listGroupsDocs, resetGroupDocs } from './docs-groups.ts'
import { forwardedHeader } from './peers.ts'
import { groupDescription, groupList, membersText } from './group-json.ts'
import { resetFields, resetGroup } from './group-reset.ts'
import { inPieces } from './in-pieces.ts'
import { nearest, parametersOf } from './parameters.ts'
import { bodyLimits } from './records-in.ts'
import type { Serving } from './serving.ts'
import { fieldsOf } from './topics.ts'

export function addGroups(app: FastifyInstance, serving: Serving): void {
  const { router, world, ends } = serving

  app.get('/v1/groups', { schema: listGroupsDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    await ends.look()
    const alone = request.headers[forwardedHeader] !== undefined || router.brokers().length < 2
    const others = alone ? [] : ((await ends.askOthers('/v1/groups')) as { readonly groups: object[] }[])
    const theirs = others.flatMap(({ groups }) => groups)
    const list = groupList(ends, [...router.groups.all()], theirs)
    return reply.type('application/json; charset=utf-8').send(inPieces(world.clock, list))
  })

  app.get('/v1/groups/:group', { schema: describeGroupDocs }, async request => {
    parametersOf(request.url, [])
    await ends.look()
    return groupDescription(serving, groupAsked(request, router))
  })

  app.post('/v1/groups/:group/offsets', { schema: resetGroupDocs }, async request => {
    parametersOf(request.url, [])
    const group = nameIn(request)
    const fields = await withBody(request.raw, bodyLimits(serving), async body => fieldsOf(body, resetFields))
    await router.groups.ensureTopic()
    return { group, ...(await resetGroup(serving, group, fields)) }
  })

  app.delete('/v1/groups/:group', { schema: deleteGroupDocs }, async (request, reply) => {
    parametersOf(request.url, [])
    const { group } = groupAsked(request, router)
    const refused = await router.groups.of(group.id).delete(group.id)
    if (refused === undefined) return reply.code(204).send()
    const why =
      refused === 'NON_EMPTY_GROUP' ? `has ${membersText(group.members.size)}` : 'could not be deleted'
    throw new Refusal(refused, `Group ${group.id} ${why}`)
  })
}

/** @throws Refusal INVALID_GROUP_ID */
function nameIn(request: FastifyRequest): string {
  const { group } = request.params as { group: string }
  if (group === '') throw new Refusal('INVALID_GROUP_ID', 'The name of a group is not empty')
  return group
}

/** @throws Refusal GROUP_ID_NOT_FOUND, INVALID_GROUP_ID */
function groupAsked(request: FastifyRequest, router: Router): CoordinatedGroup {
  const group = nameIn(request)
  const coordinated =
    router.groups.partitionOf(group) === undefined ? undefined : router.groups.of(group).find(group)
  if (coordinated !== undefined) return coordinated
  const near = nearest(group, idsOf(router))
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  throw new Refusal('GROUP_ID_NOT_FOUND', `There is no group ${group.slice(0, 249)}${hint}`)
}

function* idsOf(router: Router): Generator<string, void> {
  for (const { group } of router.groups.loaded()) yield group.id
}
