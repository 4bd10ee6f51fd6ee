import type { AddressInfo, Server } from 'node:net'

export type Listening = { readonly host: string; readonly port: number }

/** What to listen on: the host as written ('' is every interface) and the port; 0 is any free one. */
type Wanted = { readonly host: string; readonly port: number }

/** For messages to the user: what the door is called and how its address is given. */
export type DoorWords = { readonly name: string; readonly option: string }

const portTriesMax = 20

/**
 * Makes servers listen on `address` (HOST:PORT, [IPv6]:PORT or :PORT). For localhost that is 127.0.0.1 and, where this
 * machine has it, ::1, on one port: clients try either. `newServer` is called once for each address.
 * @throws Error with one sentence for the user: what is wrong with the address and what to do
 */
export async function listenOn(
  address: string,
  words: DoorWords,
  newServer: () => Server,
): Promise<Listening[]> {
  const wanted = parseAddress(address)
  if (wanted.host !== 'localhost') return [await listen(newServer(), wanted, words)]
  const first = newServer()
  for (let tries = 1; ; tries++) {
    const one = await listen(first, { host: '127.0.0.1', port: wanted.port }, words)
    try {
      return [one, await listen(newServer(), { host: '::1', port: one.port }, words)]
    } catch (error) {
      const code = codeOf(error)
      if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return [one]
      await new Promise(closed => first.close(closed))
      // The free port of one address may be taken on the other.
      if (wanted.port !== 0 || code !== 'EADDRINUSE' || tries === portTriesMax) throw error
    }
  }
}

/** @throws Error with one sentence for the user */
export function parseAddress(address: string): Wanted {
  const match = /^(?:\[(?<six>[\da-fA-F:.]+(?:%\w+)?)\]|(?<host>[^:[\]]*)):(?<port>\d{1,5})$/.exec(address)
  const port = Number(match?.groups?.['port'])
  if (match === null || port > 65_535) {
    throw new Error(
      `${JSON.stringify(address)} is no address to listen on: write HOST:PORT, for example localhost:9092 or [::1]:9092.`,
    )
  }
  return { host: match.groups?.['six'] ?? match.groups?.['host'] ?? '', port }
}

function listen(server: Server, wanted: Wanted, words: DoorWords): Promise<Listening> {
  const { host, port } = wanted
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(new Error(sentence(error, wanted, words), { cause: error }))
    }
    server.once('error', failed)
    server.listen({ port, ...(host === '' ? {} : { host }) }, () => {
      server.off('error', failed)
      const bound = server.address() as AddressInfo
      resolve({ host: bound.address, port: bound.port })
    })
  })
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined)?.code : undefined

function sentence(error: NodeJS.ErrnoException, { host, port }: Wanted, { name, option }: DoorWords): string {
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`
  switch (error.code) {
    case 'EADDRINUSE':
      return `The ${name} address ${place} is in use: stop the process that has it, or choose another port with ${option} HOST:PORT (port 0 is any free one).`
    case 'EACCES':
      return `This user may not open the ${name} address ${place}: choose a port from 1024 on with ${option} HOST:PORT.`
    case 'EADDRNOTAVAIL':
      return `This machine has no address ${host} to listen on: choose one of its own, or localhost, with ${option} HOST:PORT.`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `No address is known for the host ${JSON.stringify(host)}: check its name, or use localhost, with ${option} HOST:PORT.`
    case undefined:
    default:
      return `The ${name} address ${place} cannot be opened (${error.message}): choose another with ${option} HOST:PORT.`
  }
}
