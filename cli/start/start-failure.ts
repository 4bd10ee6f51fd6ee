import { DataDirectoryRefused } from '../../broker/log/data-directory.ts'
import { Failure } from '../failure.ts'

/** What a broker that could not start says to the person who started it, where the error's own words do not suffice. */
export function startFailure(error: unknown): unknown {
  if (error instanceof DataDirectoryRefused) return new Failure(error.message)
  if (!(error instanceof Error) || !('code' in error)) return error
  if ('hostname' in error) {
    return new Failure(`there is no host ${error.hostname} to listen on`, 'Check --kafka and --http.')
  }
  if ('address' in error && 'port' in error) return doorFailure(error.code, `${error.address}:${error.port}`)
  return error
}

function doorFailure(code: unknown, address: string): Failure {
  switch (code) {
    case 'EADDRINUSE':
      return new Failure(
        `${address} is in use by another program`,
        'Stop that one, or choose another address with --kafka and --http (port 0: any free one).',
      )
    case 'EACCES':
      return new Failure(
        `this user may not listen on ${address}`,
        'Choose a port above 1023 with --kafka and --http.',
      )
    case 'EADDRNOTAVAIL':
      return new Failure(
        `${address} is no address of this machine`,
        'Choose another with --kafka and --http.',
      )
    default:
      return new Failure(`cannot listen on ${address} (${String(code)})`, 'Check --kafka and --http.')
  }
}
