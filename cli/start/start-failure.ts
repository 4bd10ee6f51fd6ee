import { DataDirectoryRefused } from '../../broker/log/data-directory.ts'
import { Refusal } from '../../base/refusals.ts'
import { Failure } from '../failure.ts'

/**
 * What a broker that could not start says. Its refusals, and plain Errors (an address in use, a file system's no), carry a
 * sentence for the user; everything else is a bug and keeps its stack.
 */
export function startFailure(error: unknown): unknown {
  if (error instanceof DataDirectoryRefused) return new Failure(error.message)
  // It names its file and says what to do; what the table advises is for clients.
  if (error instanceof Refusal && error.code === 'KAFKA_STORAGE_ERROR') return new Failure(error.message)
  const plain = error instanceof Error && Object.getPrototypeOf(error) === Error.prototype
  return plain ? new Failure(error.message) : error
}
