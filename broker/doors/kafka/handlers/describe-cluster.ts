import { Refusal } from '../../../../base/refusals.ts'
import { describeCluster } from '../../../../protocol/kafka/apis/describe-cluster.ts'
import { clusterOperations, operationsUnasked } from './described.ts'
import { plain, type Desk, type Handler } from './handler.ts'
import { brokerPlaces } from './places.ts'

const brokersEndpoint = 1
const controllersEndpoint = 2

export const describeClusterHandler = (desk: Desk): Handler =>
  plain(
    desk,
    describeCluster,
    (request, call) => {
      if (request.endpointType !== brokersEndpoint) {
        throw new Refusal(
          request.endpointType === controllersEndpoint
            ? 'MISMATCHED_ENDPOINT_TYPE'
            : 'UNSUPPORTED_ENDPOINT_TYPE',
          'this is a broker: there are no controllers of their own to describe',
        )
      }
      return {
        errorCode: 0,
        clusterId: desk.router.clusterId,
        controllerId: desk.router.self,
        brokers: brokerPlaces(call).map(({ nodeId, host, port, rack }) => ({
          brokerId: nodeId,
          host,
          port,
          rack,
        })),
        clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
          ? clusterOperations
          : operationsUnasked,
      }
    },
    ({ errorCode, errorMessage }) => ({ errorCode, errorMessage, clusterId: '', brokers: [] }),
  )
