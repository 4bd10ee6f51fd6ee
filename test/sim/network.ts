import type { Connection, ConnectionEnd, ConnectionEvents, Network, Place } from '../../base/world.ts'
import type { SimClock, SimProcess } from './clock.ts'
import type { Seeded } from './seeded.ts'

type Listening = {
  readonly process: SimProcess
  readonly accept: (connection: Connection) => ConnectionEvents
  /** The ends that it has accepted. */
  readonly sides: Set<Side>
}

/** One end of a connection. What is sent arrives in order, and nothing behind the end. */
type Side = {
  readonly host: string
  readonly process: SimProcess
  events: ConnectionEvents | undefined
  over: boolean
  /** When the last piece arrives: the next is not earlier. */
  arrivesMs: number
}

type Wire = { readonly sides: readonly [Side, Side]; held: (() => void)[] }

const connectMsMax = 2_000
const askedAgainMs = 1_000

/**
 * A network in memory: hosts by name, streams between them with delays from the seed. The test cuts hosts from each other, silently as a broken
 * switch does; a killed process resets its connections, as its kernel would.
 */
export class SimNetwork {
  readonly #clock: SimClock
  readonly #random: Seeded
  /** How long a piece takes. */
  delayMs = { min: 0.05, max: 0.6 }
  /** This share of connections begins a second late: what asked for them was lost, and was asked again. */
  lostConnects = 0
  readonly #listening = new Map<string, Listening>()
  readonly #wires = new Set<Wire>()
  /** Those on which something is held back, whether they are over or not. */
  readonly #holding = new Set<Wire>()
  readonly #cut = new Set<string>()
  #ports = 20_000

  constructor(clock: SimClock, random: Seeded) {
    this.#clock = clock
    this.#random = random
  }

  /** The network as a process on `host` sees it. */
  networkOf(host: string, process: SimProcess): Network {
    return {
      connect: (to, events) => this.#connect(host, process, to, events),
      listen: (at, accept) => {
        const port = at.port === 0 ? this.#ports++ : at.port
        const key = `${host}:${port}`
        const taken = this.#listening.get(key)
        if (taken?.process.alive === true)
          return Promise.reject(Object.assign(new Error(`EADDRINUSE: ${key}`), { code: 'EADDRINUSE' }))
        const sides = new Set<Side>()
        this.#listening.set(key, { process, accept, sides })
        return Promise.resolve({
          port,
          close: () => {
            this.#listening.delete(key)
            this.#resetOf(side => sides.has(side))
            return Promise.resolve()
          },
        })
      },
    }
  }

  /** Nothing passes between the two hosts any more, either way, and nobody is told. */
  cut(a: string, b: string): void {
    this.#cut.add(pair(a, b))
  }

  /** What was sent meanwhile arrives, as if it had been sent again and again. */
  heal(): void {
    this.#cut.clear()
    const wires = [...this.#holding]
    this.#holding.clear()
    for (const wire of wires) for (const act of wire.held.splice(0)) act()
  }

  isCut(a: string, b: string): boolean {
    return this.#cut.has(pair(a, b))
  }

  /** The process is dead: its kernel resets what it had open. */
  died(process: SimProcess): void {
    this.#resetOf(side => side.process === process)
    for (const [key, listening] of this.#listening)
      if (listening.process === process) this.#listening.delete(key)
  }

  /** Resets every connection between two hosts. */
  reset(a: string, b: string): void {
    for (const wire of this.#wires) {
      const [one, other] = wire.sides
      if (pair(one.host, other.host) === pair(a, b))
        for (const side of wire.sides) this.#end(wire, side, 'reset')
    }
  }

  #resetOf(isOver: (side: Side) => boolean): void {
    for (const wire of this.#wires) {
      const [one, other] = wire.sides
      if (isOver(one) || isOver(other)) {
        for (const side of wire.sides) {
          if (isOver(side)) side.over = true
          else this.#end(wire, side, 'reset')
        }
      }
    }
  }

  #connect(host: string, process: SimProcess, to: Place, events: ConnectionEvents): Connection {
    const near: Side = { host, process, events, over: false, arrivesMs: 0 }
    const far: Side = {
      host: to.host,
      process: { alive: true },
      events: undefined,
      over: false,
      arrivesMs: 0,
    }
    const wire: Wire = { sides: [near, far], held: [] }
    this.#wires.add(wire)
    const giveUp = this.#clock.after(process, connectMsMax, () => {
      if (near.over) return
      near.over = true
      events.closed('unreachable')
    })
    const arrive = (): void => {
      const listening = this.#listening.get(`${to.host}:${to.port}`)
      if (listening?.process.alive !== true) {
        giveUp.cancel()
        return this.#end(wire, near, 'refused')
      }
      const real: Side = { ...far, process: listening.process }
      listening.sides.add(real)
      const joined: Wire = { sides: [near, real], held: wire.held }
      this.#wires.delete(wire)
      this.#wires.add(joined)
      ends.wire = joined
      // Its kernel answers, whether the process gets to it or not.
      this.#pass(joined, near, () => {
        giveUp.cancel()
        if (!near.over) events.opened()
      })
      this.#clock.after(listening.process, 0, () => {
        if (!real.over) real.events = listening.accept(this.#endOf({ wire: joined }, 1))
      })
    }
    const ends = { wire }
    const isLost = this.lostConnects > 0 && this.#random.chance(this.lostConnects)
    this.#after(wire, this.#delay() + (isLost ? askedAgainMs : 0), arrive)
    return this.#endOf(ends, 0)
  }

  #endOf(ends: { wire: Wire }, which: 0 | 1): Connection {
    return {
      send: (pieces, done) => {
        // What was sent stands in the kernel's memory.
        const bytes = Buffer.concat(pieces)
        done?.()
        const { wire } = ends
        const [mine, other] = which === 0 ? wire.sides : [wire.sides[1], wire.sides[0]]
        if (mine.over || !mine.process.alive) return
        this.#pass(wire, other, () => {
          if (!other.over) other.events?.received(bytes)
        })
      },
      unsentBytes: 0,
      close: () => {
        const { wire } = ends
        const [mine, other] = which === 0 ? wire.sides : [wire.sides[1], wire.sides[0]]
        if (mine.over) return
        mine.over = true
        this.#pass(wire, other, () => this.#end(wire, other, 'ended'))
      },
    }
  }

  /** `act` happens at `to` after a delay, behind what was sent there before. */
  #pass(wire: Wire, to: Side, act: () => void): void {
    to.arrivesMs = Math.max(to.arrivesMs + 0.000_1, this.#clock.monotonicMs() + this.#delay())
    this.#after(wire, to.arrivesMs - this.#clock.monotonicMs(), () => {
      this.#clock.after(to.process, 0, act)
    })
  }

  /** When it arrives it is held back while the two are cut from each other. */
  #after(wire: Wire, delayMs: number, act: () => void): void {
    const [one, other] = wire.sides
    const arrive = (): void => {
      if (!this.isCut(one.host, other.host) && wire.held.length === 0) return act()
      wire.held.push(act)
      this.#holding.add(wire)
    }
    this.#clock.after({ alive: true }, delayMs, arrive)
  }

  #end(wire: Wire, side: Side, why: ConnectionEnd): void {
    if (side.over) return
    side.over = true
    this.#pass(wire, side, () => side.events?.closed(why))
    if (wire.sides.every(({ over }) => over)) this.#wires.delete(wire)
  }

  #delay(): number {
    return this.#random.between(this.delayMs.min, this.delayMs.max)
  }
}

const pair = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`)
