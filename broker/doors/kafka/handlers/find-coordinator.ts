import type { RefusalCode } from '../../../../base/refusals.ts'
import { findCoordinator } from '../../../../protocol/kafka/apis/find-coordinator.ts'
import { codeOf, plain, type Desk, type Handler } from './handler.ts'

const nowhere = { nodeId: -1, host: '', port: -1 }

/** By key type: consumer groups may come to be served while a client waits, transactions do not. */
const refusedKeys: readonly { code: RefusalCode; message: string }[] = [
  { code: 'COORDINATOR_NOT_AVAILABLE', message: 'consumer groups are not served yet' },
  { code: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', message: 'there are no transactions' },
]

export const findCoordinatorHandler = (desk: Desk): Handler =>
  plain(
    desk,
    findCoordinator,
    ({ keyType, coordinatorKeys }) => {
      const { code, message } = refusedKeys[keyType] ?? {
        code: 'INVALID_REQUEST',
        message: `there are no coordinators for keys of type ${keyType}`,
      }
      const refused = { ...nowhere, errorCode: codeOf(code), errorMessage: message }
      return { ...refused, coordinators: coordinatorKeys.map(key => ({ key, ...refused })) }
    },
    (failure, { coordinatorKeys }) => ({
      ...nowhere,
      ...failure,
      coordinators: coordinatorKeys.map(key => ({ key, ...nowhere, ...failure })),
    }),
  )
