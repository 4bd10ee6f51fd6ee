/**
 * Asks questions of peers in rounds: for each round, for each case, every peer once, in an order that a seed draws, so that a slow minute of the machine
 * meets all alike. Out: every figure of every round, and the reason wherever there is none.
 */
import { Seeded } from '../../test/sim/seeded.ts'
import { newDirectory, removeDirectory } from './directories.ts'
import { NoiseWatch, type Noise } from './noise.ts'
import { Missing, NotAsked, type Durability, type Peer, type RunningPeer } from './peer.ts'

export type Figure = {
  readonly unit: string
  readonly better: 'more' | 'less'
  /** What Stele's median divided by Kafka's has to be: at least (`more`), or at most (`less`). */
  readonly wanted?: number
}

/** By the name of the figure. */
export type Figures = Readonly<Record<string, number>>

export type Case = {
  readonly name: string
  readonly figures: Readonly<Record<string, Figure>>
} & (
  | {
      /** Asked of a server that has been running since the first round; all cases of one durability share it. */
      readonly durability: Durability
      /** Once before the first round. */
      readonly before?: (running: RunningPeer) => Promise<void>
      readonly ask: (running: RunningPeer) => Promise<Figures>
    }
  | {
      readonly durability?: undefined
      /** Starts servers itself, and ends them. */
      readonly ask: (peer: Peer) => Promise<Figures>
    }
)

export type Question = {
  /** Of one word: it is chosen by it. */
  readonly name: string
  readonly title: string
  /** What loads the peers, and what has to be known to read the figures. */
  readonly about: string
  readonly cases: (extent: Extent) => readonly Case[]
  /** After the last round: removes what the cases kept. */
  readonly end?: () => void
}

export type Extent = {
  /** Only proves that it works: little of everything. */
  readonly quick: boolean
  /** With what takes gigabytes and many minutes. */
  readonly long: boolean
  /** Only cases with this in their name. */
  readonly only: string
}

type Sample = {
  readonly peer: string
  readonly round: number
  readonly figures: Figures
  readonly noise: Noise
}

export type CaseResult = {
  readonly name: string
  readonly figures: Readonly<Record<string, Figure>>
  readonly samples: readonly Sample[]
  /** Why a peer has no figures, or not those of all rounds. */
  readonly gaps: Readonly<Record<string, string>>
}

export type QuestionResult = Pick<Question, 'name' | 'title' | 'about'> & {
  readonly cases: readonly CaseResult[]
  /** What each peer was told, by durability. */
  readonly settings: Readonly<Record<string, string>>
}

export type Rounds = {
  readonly rounds: number
  /** Rounds before these that do not count: virtual machines compile meanwhile, and memory is touched for the first time. */
  readonly warmUps: number
  readonly seed: number
  readonly extent: Extent
  /** Told what was found as it is found. */
  readonly progress: (line: string) => void
}

type Gathered = {
  of: Case
  samples: Sample[]
  gaps: Record<string, string>
  /** Peers that will not answer this, however often they are asked. */
  out: Set<string>
}

/** @param peers that are there */
export async function askQuestion(
  question: Question,
  peers: readonly Peer[],
  rounds: Rounds,
): Promise<QuestionResult> {
  const gathered = question
    .cases(rounds.extent)
    .filter(({ name }) => name.includes(rounds.extent.only))
    .map((of): Gathered => ({ of, samples: [], gaps: {}, out: new Set() }))
  const settings: Record<string, string> = {}
  try {
    for (const durability of new Set(gathered.map(({ of }) => of.durability))) {
      const cases = gathered.filter(({ of }) => of.durability === durability)
      if (durability === undefined) await inRounds(cases, peers, rounds, new Map())
      else await withServers(durability, cases, peers, rounds, settings)
    }
  } finally {
    question.end?.()
  }
  const { name, title, about } = question
  const cases = gathered.map(({ of, samples, gaps }) => ({
    name: of.name,
    figures: of.figures,
    samples,
    gaps,
  }))
  return { name, title, about, cases, settings }
}

async function withServers(
  durability: Durability,
  cases: readonly Gathered[],
  peers: readonly Peer[],
  rounds: Rounds,
  settings: Record<string, string>,
): Promise<void> {
  const running = new Map<Peer, RunningPeer>()
  const directories: string[] = []
  try {
    for (const peer of peers) {
      const data = newDirectory()
      directories.push(data)
      try {
        const one = await peer.start({ durability, data })
        running.set(peer, one)
        settings[`${peer.name}, ${durability}`] = one.settings
      } catch (error) {
        for (const { gaps } of cases) gaps[peer.name] = reasonOf(error)
        rounds.progress(`${peer.name}: ${reasonOf(error)}`)
      }
    }
    await prepared(cases, running)
    await inRounds(cases, [...running.keys()], rounds, running)
  } finally {
    for (const { server } of running.values()) await server.stop()
    directories.forEach(removeDirectory)
  }
}

async function prepared(cases: readonly Gathered[], running: ReadonlyMap<Peer, RunningPeer>): Promise<void> {
  for (const { of, gaps, out } of cases) {
    if (of.durability === undefined || of.before === undefined) continue
    for (const [peer, one] of running) {
      try {
        await of.before(one)
      } catch (error) {
        gaps[peer.name] = reasonOf(error)
        out.add(peer.name)
      }
    }
  }
}

async function inRounds(
  cases: readonly Gathered[],
  peers: readonly Peer[],
  { rounds, warmUps, seed, progress }: Rounds,
  running: ReadonlyMap<Peer, RunningPeer>,
): Promise<void> {
  const random = new Seeded(seed)
  const noise = new NoiseWatch()
  try {
    for (let round = 1 - warmUps; round <= rounds; round++) {
      for (const { of, samples, gaps, out } of cases) {
        for (const peer of shuffled(peers, random)) {
          if (out.has(peer.name)) continue
          const where = `${round < 1 ? 'warm-up' : `round ${round}`}, ${of.name}, ${peer.name}`
          try {
            const { answer: figures, noise: heard } = await noise.during(() => asked(of, peer, running))
            if (round >= 1) samples.push({ peer: peer.name, round, figures, noise: heard })
            progress(`${where}: ${told(figures)}`)
          } catch (error) {
            gaps[peer.name] = reasonOf(error)
            if (error instanceof NotAsked) out.add(peer.name)
            progress(`${where}: ${gaps[peer.name]}`)
          }
        }
      }
    }
  } finally {
    noise.end()
  }
}

function asked(of: Case, peer: Peer, running: ReadonlyMap<Peer, RunningPeer>): Promise<Figures> {
  if (of.durability === undefined) return of.ask(peer)
  const one = running.get(peer)
  if (one === undefined) throw new Error(`${peer.name} is not running`)
  return of.ask(one)
}

/** What it is not meant for is said in a sentence; what went wrong begins with "failed". */
function reasonOf(error: unknown): string {
  if (error instanceof NotAsked) return `not asked: ${error.message}`
  if (error instanceof Missing) return `missing: ${error.message}`
  return `failed: ${String(error)}`
}

export const hasFailed = (reason: string): boolean => reason.startsWith('failed: ')

export function shuffled<Item>(items: readonly Item[], random: Seeded): Item[] {
  const left = [...items]
  return items.flatMap(() => left.splice(random.below(left.length), 1))
}

const told = (figures: Figures): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`)
    .join(', ')
