// Enters: the body of a request or response with its API and version. Leaves: a whole frame, length first; and back.
// Always holds: the correlation id stands where every version of every header has it, so any request can be answered.
//
//   request   length i32 | apiKey i16 | apiVersion i16 | correlationId i32 | clientId string | tags (header v2) | body
//   response  length i32 | correlationId i32 | tags (header v1) | body
import { apiVersions } from './apis/api-versions.ts'
import { NameCache } from './names.ts'
import { Reader } from './reader.ts'
import { spokenFor, type Spoken } from './registry.ts'
import type { Api, Read, Shape, Written } from './schema.ts'
import type { Writer } from './writer.ts'

// One for all connections: an idle one shall cost next to nothing.
const clientIds = new NameCache()

/** The header of one request; one object serves a connection's requests one after the other. */
export class RequestHeader {
  apiKey = 0
  apiVersion = 0
  correlationId = 0
  clientId: string | null = null
  /** The API asked for, or undefined for one that we do not speak: nothing behind the correlation id was read then. */
  spoken: Spoken | undefined

  /**
   * Reads headers v1 and v2 and leaves the reader at the body. `reader` holds one frame without its length.
   * The version may be one that we do not serve: the client id is read all the same. Throws `MalformedRequest`.
   */
  read(reader: Reader): void {
    this.apiKey = reader.int16()
    this.apiVersion = reader.int16()
    this.correlationId = reader.int32()
    this.clientId = null
    this.spoken = spokenFor(this.apiKey)
    if (this.spoken === undefined) return
    const length = reader.stringLength(false)
    if (length >= 0) this.clientId = clientIds.text(reader.buffer, reader.skip(length), length)
    if (this.apiVersion >= this.spoken.api.flexibleSince) reader.skipTags()
  }

  /** Whether the version is one that is answered with more than UNSUPPORTED_VERSION. */
  served(): boolean {
    const range = this.spoken?.served
    return range !== undefined && this.apiVersion >= range.min && this.apiVersion <= range.max
  }
}

/** Writes a request with its length. */
export function encodeRequest<Request extends Shape>(
  writer: Writer,
  api: Api<Request>,
  request: { version: number; correlationId: number; clientId: string | null; body: Written<Request> },
): void {
  const begin = beginFrame(writer)
  writer.int16(api.key)
  writer.int16(request.version)
  writer.int32(request.correlationId)
  if (request.clientId === null) writer.stringLength(-1, false)
  else writer.string(request.clientId, false)
  if (request.version >= api.flexibleSince) writer.uvarint(0)
  api.encodeRequest(writer, request.version, request.body)
  endFrame(writer, begin)
}

/** Writes a response with its length. */
export function encodeResponse<Response extends Shape>(
  writer: Writer,
  api: Api<Shape, Response>,
  version: number,
  correlationId: number,
  body: Written<Response>,
): void {
  const begin = beginResponse(writer, api, version, correlationId)
  api.encodeResponse(writer, version, body)
  endFrame(writer, begin)
}

/** Writes the length's place and the response header; `endFrame` closes what it answers. */
export function beginResponse(writer: Writer, api: Api, version: number, correlationId: number): number {
  const begin = beginFrame(writer)
  writer.int32(correlationId)
  if (hasTaggedHeader(api, version)) writer.uvarint(0)
  return begin
}

/** Reads a response: a frame without its length. Throws `MalformedRequest`. */
export function decodeResponse<Response extends Shape>(
  frame: Buffer,
  api: Api<Shape, Response>,
  version: number,
): { correlationId: number; body: Read<Response> } {
  const reader = new Reader(frame)
  const correlationId = reader.int32()
  if (hasTaggedHeader(api, version)) reader.skipTags()
  return { correlationId, body: api.decodeResponse(reader, version) }
}

function beginFrame(writer: Writer): number {
  const begin = writer.length
  writer.int32(0)
  return begin
}

/** Puts the length of the frame that began at `begin` (counted in bytes not taken) into its place. */
export function endFrame(writer: Writer, begin: number): void {
  writer.buffer.writeInt32BE(writer.length - begin - 4, writer.start + begin)
}

/** ApiVersions is answered before the client knows our versions: its response header stays v0 for ever (KIP-511). */
const hasTaggedHeader = (api: Api, version: number): boolean =>
  api.key !== apiVersions.key && version >= api.flexibleSince
