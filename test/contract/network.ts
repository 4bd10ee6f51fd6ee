import { describe, expect, test } from 'vitest'
import type { Connection, ConnectionEnd, Network, Place } from '../../base/world.ts'

export type NetworkUnderTest = {
  readonly network: Network
  /** A host to listen on. */
  readonly host: string
  /** Lets time pass until it holds. */
  readonly until: (holds: () => boolean) => Promise<void>
}

/** One end of a connection and what it was told. */
class End {
  connection: Connection | undefined
  opened = false
  closed: ConnectionEnd | undefined
  readonly #received: Buffer[] = []

  readonly events = {
    opened: () => {
      this.opened = true
    },
    received: (bytes: Buffer) => {
      this.#received.push(Buffer.from(bytes))
    },
    closed: (why: ConnectionEnd) => {
      expect(this.closed).toBeUndefined()
      this.closed = why
    },
  }

  get text(): string {
    return Buffer.concat(this.#received).toString()
  }
}

/** What every `Network` of `base/world.ts` promises. */
export function networkContract(name: string, make: () => NetworkUnderTest): void {
  describe(`the network contract, ${name}`, () => {
    async function connected() {
      const { network, host, until } = make()
      const [near, far] = [new End(), new End()]
      const listener = await network.listen({ host, port: 0 }, connection => {
        far.connection = connection
        return far.events
      })
      near.connection = network.connect({ host, port: listener.port }, near.events)
      expect(near.opened).toBe(false)
      await until(() => near.opened && far.connection !== undefined)
      return { near, far, listener, until, network, host }
    }

    test('bytes arrive in order, both ways, and nobody is told twice', async () => {
      const { near, far, listener, until } = await connected()
      let done = 0
      for (let n = 0; n < 50; n++)
        near.connection?.send([Buffer.from(`${n},`), Buffer.from(';')], () => done++)
      far.connection?.send([Buffer.from('back')])
      const all = Array.from({ length: 50 }, (_, n) => `${n},;`).join('')
      await until(() => far.text.length === all.length && near.text === 'back' && done === 50)
      expect(far.text).toBe(all)
      await listener.close()
    })

    test('what is sent last before the end arrives before the end', async () => {
      const { near, far, listener, until } = await connected()
      near.connection?.send([Buffer.from('last words')])
      await until(() => far.text === 'last words')
      near.connection?.close()
      await until(() => far.closed !== undefined)
      expect(['ended', 'reset']).toContain(far.closed)
      expect(near.closed).toBeUndefined()
      near.connection?.send([Buffer.from('more')])
      await listener.close()
    })

    test('where nobody listens it is refused', async () => {
      const { listener, until, network, host } = await connected()
      const place: Place = { host, port: listener.port }
      await listener.close()
      const late = new End()
      network.connect(place, late.events)
      await until(() => late.closed !== undefined)
      expect(late.closed).toBe('refused')
      expect(late.opened).toBe(false)
    })

    test('a listener that closes ends its connections', async () => {
      const { near, listener, until } = await connected()
      await listener.close()
      await until(() => near.closed !== undefined)
      expect(['ended', 'reset']).toContain(near.closed)
    })

    test('a place is taken once', async () => {
      const { listener, network, host } = await connected()
      await expect(
        network.listen({ host, port: listener.port }, () => new End().events),
      ).rejects.toMatchObject({
        code: 'EADDRINUSE',
      })
      await listener.close()
    })
  })
}
