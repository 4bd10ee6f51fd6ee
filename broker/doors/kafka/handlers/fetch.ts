/**
 * Enters: Fetch requests, all of them full ones: sessions are not kept (KIP-227 lets a broker say so with session 0).
 * Leaves: batches as they are stored, in one answer; or a fetch that waits without asking again and again.
 * Always holds: batches are released once, when they were sent or nobody wants them; what is read counts in the door's budget.
 */
import { fetch } from '../../../../protocol/kafka/apis/fetch.ts'
import { FetchResponseWriter } from '../../../../protocol/kafka/fetch-response.ts'
import type { Answer, Arrival } from '../answer.ts'
import { FetchAnswer } from './fetch-answer.ts'
import { codeOf, type Desk, type Handler } from './handler.ts'

export function fetchHandler(desk: Desk): Handler {
  const writer = new FetchResponseWriter()
  const serve = (arrival: Arrival): Answer => {
    const { apiVersion, correlationId } = arrival.header
    const request = fetch.decodeRequest(arrival.reader, apiVersion)
    // Epochs 0 and -1 begin or leave a session; a later one goes on in a session that we never gave.
    if (request.sessionEpoch > 0) return noSession(writer, apiVersion, correlationId)
    const answer = new FetchAnswer(desk, writer, arrival, request)
    answer.begin()
    return answer
  }
  return { api: fetch, serve }
}

const noSession = (writer: FetchResponseWriter, version: number, correlationId: number): Answer => ({
  ready: true,
  pipelined: false,
  write: out => {
    writer.begin(version, correlationId, 0, { errorCode: codeOf('FETCH_SESSION_ID_NOT_FOUND') })
    for (const piece of writer.finish()) out.piece(piece)
  },
  drop: () => {},
})
