import { apiVersions } from '../../../../protocol/kafka/apis/api-versions.ts'
import { encodeResponse } from '../../../../protocol/kafka/frame.ts'
import { registry } from '../../../../protocol/kafka/registry.ts'
import type { Answer, Arrival } from '../answer.ts'
import type { Outgoing } from '../outgoing.ts'
import { codeOf, plain, type Desk, type Handler } from './handler.ts'

const apiKeys = registry.map(({ api, advertised }) => ({
  apiKey: api.key,
  minVersion: advertised.min,
  maxVersion: advertised.max,
}))

/** What Kafka takes as the name and the version of a client's software (KIP-511). */
const softwareName = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

export const apiVersionsHandler = (desk: Desk): Handler =>
  plain(
    desk,
    apiVersions,
    ({ clientSoftwareName, clientSoftwareVersion }, { version }) => {
      const named = softwareName.test(clientSoftwareName) && softwareName.test(clientSoftwareVersion)
      if (version >= 3 && !named) return { errorCode: codeOf('INVALID_REQUEST'), apiKeys: [] }
      return { errorCode: 0, apiKeys }
    },
    ({ errorCode }) => ({ errorCode, apiKeys: [] }),
  )

/** A version we do not know is answered in version 0, with the range that the client may try again with (KIP-511). */
export const unknownApiVersions = ({ header }: Arrival): Answer => {
  const { correlationId } = header
  return {
    ready: true,
    pipelined: false,
    write: (out: Outgoing) =>
      encodeResponse(out.writer, apiVersions, 0, correlationId, {
        errorCode: codeOf('UNSUPPORTED_VERSION'),
        apiKeys: apiKeys.filter(range => range.apiKey === apiVersions.key),
      }),
    drop: () => {},
  }
}
