/** Requests whose bodies are not what they should be, of every API in every version: what is answered, and whether the connection goes on. */
import { apiVersions } from '../../../protocol/kafka/apis/api-versions.ts'
import { findCoordinator } from '../../../protocol/kafka/apis/find-coordinator.ts'
import { initProducerId } from '../../../protocol/kafka/apis/init-producer-id.ts'
import { decodeResponse } from '../../../protocol/kafka/frame.ts'
import { MalformedRequest } from '../../../protocol/kafka/malformed.ts'
import { Reader } from '../../../protocol/kafka/reader.ts'
import { registry } from '../../../protocol/kafka/registry.ts'
import type { Api } from '../../../protocol/kafka/schema.ts'
import { Writer } from '../../../protocol/kafka/writer.ts'
import { int8, join, request } from '../raw.ts'
import type { Interview, Theme } from './interview.ts'

/** The correlation id of a good request that is sent behind the bad one. */
const nextId = 2

const bodies: readonly (readonly [what: string, body: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['three zeros', Buffer.alloc(3)],
  ['zeros', Buffer.alloc(64)],
  ['bytes 255', Buffer.alloc(64, 0xff)],
  ['bytes 127', Buffer.alloc(64, 0x7f)],
]

export const malformed: Theme = async i => {
  // What some of them ask for is there then, whichever comes first.
  await i.until(async () => (await i.quietly(findCoordinator, 1, { key: 'any' })).errorCode === 0)
  const nobody = { transactionalId: null, transactionTimeoutMs: 1_000 }
  await i.until(async () => (await i.quietly(initProducerId, 4, nobody)).errorCode === 0)
  for (const { api, served } of registry) {
    for (let version = served.min; version <= served.max; version++) {
      for (const [what, body] of bodies) await ask(i, api, version, what, body)
      const least = smallest(api, version)
      if (least !== undefined && least.length > 0)
        await ask(i, api, version, 'all but the last byte', least.subarray(0, -1))
    }
  }
}

async function ask(i: Interview, api: Api, version: number, what: string, body: Buffer): Promise<void> {
  const client = await i.other()
  const tags = version >= api.flexibleSince ? int8(0) : Buffer.alloc(0)
  const good = request(apiVersions.key, 0, Buffer.alloc(0), nextId)
  client.socket.write(join(request(api.key, version, join(tags, body)), good))
  const frame = await i.within(client.frame())
  i.note(`${api.name}: a body of ${what}`, version, typeof frame === 'string' ? frame : toldBy(frame))
  client.close()

  function toldBy(bytes: Buffer | undefined): unknown {
    if (bytes === undefined) return 'the connection is closed'
    if (bytes.readInt32BE(0) === nextId) return 'there is no answer, and the connection goes on'
    // An ApiVersions that is not understood is answered in version 0, and what is served is another question.
    if (api.key === apiVersions.key) return { errorCode: bytes.readInt16BE(4) }
    return decodeResponse(bytes, api, version).body
  }
}

/** The request in which everything is 0 or empty, where there may be such a one. */
function smallest(api: Api, version: number): Buffer | undefined {
  try {
    const writer = new Writer()
    api.encodeRequest(writer, version, api.decodeRequest(new Reader(Buffer.alloc(1000)), version))
    return writer.take()
  } catch (error) {
    if (error instanceof MalformedRequest) return undefined
    throw error
  }
}
