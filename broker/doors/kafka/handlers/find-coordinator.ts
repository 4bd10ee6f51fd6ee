import { Refusal } from '../../../../base/refusals.ts'
import { findCoordinator } from '../../../../protocol/kafka/apis/find-coordinator.ts'
import { attempt, plain, type Call, type Desk, type Handler } from './handler.ts'
import { brokerPlaces } from './places.ts'
import { soon, soonMs } from './soon.ts'

const nowhere = { nodeId: -1, host: '', port: -1 }
const manySince = 4
/** Key types: 0 for groups. */
const transaction = 1

export const findCoordinatorHandler = (desk: Desk): Handler =>
  plain(
    desk,
    findCoordinator,
    async ({ keyType, key, coordinatorKeys }, call) => {
      if (call.version < manySince) return tell(keyType, key, call)
      const coordinators = coordinatorKeys.map(async asked => ({
        key: asked,
        ...(await tell(keyType, asked, call)),
      }))
      return { coordinators: await Promise.all(coordinators) }
    },
    (failure, { coordinatorKeys }) => ({
      ...nowhere,
      ...failure,
      coordinators: coordinatorKeys.map(key => ({ key, ...nowhere, ...failure })),
    }),
  )

async function tell(keyType: number, key: string, call: Call) {
  const outcome = await attempt(call, 'FindCoordinator', () => find(keyType, key, call))
  if (!('value' in outcome)) return { ...nowhere, ...outcome }
  const { nodeId, host, port } = outcome.value
  return { nodeId, host, port, errorCode: 0, errorMessage: call.version < manySince ? 'NONE' : '' }
}

async function find(keyType: number, key: string, call: Call) {
  if (keyType === transaction)
    throw new Refusal('TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'there are no transactions')
  if (keyType !== 0)
    throw new Refusal('INVALID_REQUEST', `there are no coordinators for keys of type ${keyType}`)
  const { router, world } = call.desk
  const making = new Refusal('COORDINATOR_NOT_AVAILABLE', 'the topic of groups is being made')
  const untilMs = world.clock.monotonicMs() + soonMs
  const nodeId = await soon(world.clock, untilMs, router.groups.coordinatorId(key), making)
  const place = brokerPlaces(call).find(broker => broker.nodeId === nodeId)
  if (place !== undefined && !router.isDown(nodeId)) return place
  throw new Refusal('COORDINATOR_NOT_AVAILABLE', `broker ${nodeId}, which coordinates ${key}, is away`)
}
