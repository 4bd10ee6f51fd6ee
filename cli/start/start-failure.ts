import { Failure } from '../failure.ts'

/** What a broker that could not start says to the person who started it, where the system's own words do not. */
export function startFailure(error: unknown, dataDirectory: string): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const { code } = error
  const address = 'address' in error && 'port' in error ? `${error.address}:${error.port}` : undefined
  if (address !== undefined) return doorFailure(String(code), address)
  if ('hostname' in error && code === 'ENOTFOUND') {
    return new Failure(`there is no host ${error.hostname} to listen on`, 'Check --kafka and --http.')
  }
  const path = 'path' in error ? String(error.path) : dataDirectory
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new Failure(
        `${path} cannot be written: permission denied`,
        'Choose another directory with --data, or change its owner.',
      )
    case 'ENOTDIR':
    case 'EEXIST':
      return new Failure(`${path} is in the way: it is no directory`, 'Choose another directory with --data.')
    case 'ENOSPC':
      return new Failure(
        `there is no room left on the disk of ${path}`,
        'Make room, or choose another directory with --data.',
      )
    default:
      return error
  }
}

function doorFailure(code: string, address: string): Failure {
  switch (code) {
    case 'EADDRINUSE':
      return new Failure(
        `${address} is in use by another program`,
        'Stop it, or choose another address with --kafka and --http (port 0: any free one).',
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
      return new Failure(`cannot listen on ${address} (${code})`, 'Check --kafka and --http.')
  }
}
