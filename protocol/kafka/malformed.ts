/** Bytes that are not the message they claim to be. The door closes the connection with a log line; the broker goes on. */
export class MalformedRequest extends Error {
  override name = 'MalformedRequest'
  readonly reason: string
  /** Where in the buffer the reader stood, in bytes. */
  readonly at: number
  constructor(reason: string, at: number) {
    super(`malformed at byte ${at}: ${reason}`)
    this.reason = reason
    this.at = at
  }
}

/** A batch whose records are not what its header and its codec say. `at` counts within the records. */
export class MalformedRecords extends Error {
  override name = 'MalformedRecords'
  readonly reason: string
  readonly at: number
  constructor(reason: string, at: number) {
    super(`malformed records at byte ${at}: ${reason}`)
    this.reason = reason
    this.at = at
  }
}
