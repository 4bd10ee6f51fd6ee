import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Seeded } from '../../test/sim/seeded.ts'
import { markdownOf } from './markdown.ts'
import { Missing, NotAsked, type Peer, type RunningPeer } from './peer.ts'
import { freePort } from '../../test/wire/ports.ts'
import type { Results } from './results.ts'
import { ratioTo, spreadOf, verdictOn } from './results.ts'
import { askQuestion, shuffled, type Case, type Question, type QuestionResult } from './rounds.ts'
import { answersTo, Server } from './server.ts'
import { svgOf } from './svg.ts'

/** Echoes, and has a child that would outlive it. */
const program = `
  require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  require('node:net').createServer(s => s.pipe(s)).listen(+process.argv[1], '127.0.0.1')`

async function startEcho(): Promise<Server> {
  const port = await freePort()
  return Server.start({
    command: process.execPath,
    args: ['-e', program, String(port)],
    answers: () => answersTo(port, 'hello', answer => answer.toString() === 'hello'),
  })
}

/** A process whose end nobody has asked for yet is none. */
const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

const refuse = (): never => {
  throw new NotAsked('it has no tool')
}

function echo(name: string, started: Server[] = []): Peer {
  return {
    name,
    prepare: async () => '1.0',
    start: async (): Promise<RunningPeer> => {
      const server = await startEcho()
      started.push(server)
      const none = async (): Promise<void> => undefined
      return {
        addresses: {},
        server,
        settings: 'none',
        createTopic: none,
        deleteTopic: none,
        produce: refuse,
        consume: refuse,
        roundTrips: refuse,
      }
    },
  }
}

const broken: Peer = {
  name: 'Broken',
  prepare: async () => '0.1',
  start: async () => {
    throw new Error('its disk is full')
  },
}

const figures: Case['figures'] = { 'MB/s': { unit: '', better: 'more', wanted: 1.15 } }

const asking = (...cases: Case[]): Question => ({
  name: 'question',
  title: 'A question',
  about: 'About it.',
  cases: () => cases,
})

const ask = (
  question: Question,
  peers: readonly Peer[],
  progress = (_line: string): void => undefined,
  only = '',
) =>
  askQuestion(question, peers, {
    rounds: 3,
    warmUps: 1,
    seed: 1,
    progress,
    extent: { quick: true, long: false, only },
  })

test('a server is timed, measured with its children, and leaves none of them', async () => {
  const server = await startEcho()
  expect(server.startMs).toBeGreaterThan(0)
  // Two virtual machines of JavaScript.
  expect(server.residentBytes()).toBeGreaterThan(50e6)
  expect(server.cpuSeconds()).toBeGreaterThan(0)
  const { pid } = server
  const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
  expect([pid, child].map(isAlive)).toEqual([true, true])
  await server.stop()
  expect([pid, child].map(isAlive)).toEqual([false, false])
  expect(server.residentBytes()).toBe(0)
})

test('a server that does not start is told with what it said', async () => {
  const args = ['-e', 'console.error("no room"); process.exit(3)']
  const started = Server.start({ command: process.execPath, args, answers: async () => false })
  await expect(started).rejects.toThrow(/did not start: [^]*exit code 3[^]*no room/)
})

describe('rounds', () => {
  test('every peer answers each case once in a round, and warm-ups do not count', async () => {
    const started: Server[] = []
    const peers = ['Stele', 'Kafka'].map(name => echo(name, started))
    const lines: string[] = []
    const cases = ['a', 'b'].map((name): Case => ({
      name,
      figures,
      durability: 'os',
      ask: async running => ({ 'MB/s': running.server === started[0] ? 30 : 20 }),
    }))
    const result = await ask(asking(...cases), peers, line => lines.push(line))
    for (const [round, text] of ['warm-up', 'round 1', 'round 2', 'round 3'].entries())
      expect(lines.slice(round * 4, round * 4 + 4).every(line => line.startsWith(text))).toBe(true)
    for (const { samples, gaps } of result.cases) {
      expect(gaps).toEqual({})
      expect(samples.map(({ peer, round }) => `${peer} ${round}`).sort()).toEqual(
        ['Kafka', 'Stele'].flatMap(name => [1, 2, 3].map(round => `${name} ${round}`)),
      )
      expect(samples.every(({ noise }) => noise.seconds >= 0 && noise.stallMs >= 0)).toBe(true)
    }
    expect(result.settings).toEqual({ 'Stele, os': 'none', 'Kafka, os': 'none' })
    expect(started.map(({ pid }) => isAlive(pid))).toEqual([false, false])
  })

  test('who does not start, is not asked or fails is named with the reason, and the others go on', async () => {
    const served: Case = { name: 'served', figures, durability: 'os', ask: async () => ({ 'MB/s': 1 }) }
    let asked = 0
    const afresh: Case = {
      name: 'afresh',
      figures,
      ask: async peer => {
        if (peer === broken) refuse()
        if (++asked === 3) throw new Error('it fell over')
        return { 'MB/s': 2 }
      },
    }
    const result = await ask(asking(served, afresh), [broken, echo('Stele')])
    expect(result.cases.map(({ gaps }) => gaps)).toEqual([
      { Broken: 'failed: Error: its disk is full' },
      { Broken: 'not asked: it has no tool', Stele: 'failed: Error: it fell over' },
    ])
    // Of three rounds the second went wrong, and the third was asked all the same.
    expect(result.cases.map(({ samples }) => samples.map(({ round }) => round))).toEqual([
      [1, 2, 3],
      [1, 3],
    ])
  })

  test('only cases with some text in their name are asked', async () => {
    const cases = ['of 100 B', 'of 1 KiB'].map((name): Case => ({
      name,
      figures,
      ask: async () => ({ 'MB/s': 1 }),
    }))
    const result = await ask(asking(...cases), [broken], undefined, '1 KiB')
    expect(result.cases.map(({ name, samples }) => [name, samples.length])).toEqual([['of 1 KiB', 3]])
  })

  test('the order is drawn from the seed', () => {
    const draw = (seed: number): string => {
      const random = new Seeded(seed)
      return Array.from({ length: 4 }, () => shuffled(['a', 'b', 'c'], random).join('')).join(' ')
    }
    expect(draw(1)).toBe(draw(1))
    expect(draw(1)).not.toBe(draw(2))
    expect(
      new Set(
        draw(1)
          .split(' ')
          .map(order => order.split('').sort().join('')),
      ).size,
    ).toBe(1)
    expect(new Set(draw(1).split(' ')).size).toBeGreaterThan(1)
  })
})

describe('results', () => {
  const noise = { seconds: 1, load: 2.5, stallMs: 7, othersShare: 0.125, stolenShare: 0 }
  const samples = (peer: string, values: readonly number[]) =>
    values.map((value, index) => ({ peer, round: index + 1, figures: { 'MB/s': value }, noise }))
  const found: QuestionResult = {
    name: 'question',
    title: 'A <question>',
    about: 'About it.',
    settings: { 'Stele, os': 'stele.flush=os' },
    cases: [
      {
        name: '16 KiB',
        figures,
        samples: [...samples('Stele', [30, 10, 20]), ...samples('Kafka', [10, 40, 20, 16])],
        gaps: { NATS: 'not asked: it has | one kind' },
      },
    ],
  }
  const [of] = found.cases
  if (of === undefined) throw new Error('there is a case')
  const results: Results = {
    name: 'peers',
    date: '2026-01-02T03:04:05Z',
    rounds: 3,
    warmUps: 1,
    seed: 7,
    quick: false,
    machine: { processors: '2' },
    peers: [
      { name: 'Stele', version: '1' },
      { name: 'Kafka', version: '4' },
      { name: 'NATS', version: '2' },
      { name: 'Redis', missing: `missing: ${new Missing('apt-get install redis').message}` },
    ],
    questions: [found],
  }

  test('are least, middle and most, and ratios of the middles', () => {
    expect(spreadOf(of, 'Stele', 'MB/s')).toEqual({ min: 10, median: 20, max: 30 })
    expect(spreadOf(of, 'Kafka', 'MB/s')).toEqual({ min: 10, median: 18, max: 40 })
    expect(spreadOf(of, 'NATS', 'MB/s')).toBeUndefined()
    expect(ratioTo(of, 'Kafka', 'MB/s')).toBeCloseTo(20 / 18)
    expect(ratioTo(of, 'NATS', 'MB/s')).toBeUndefined()
  })

  test('say whether what is wanted came true', () => {
    const kept = (better: 'more' | 'less', wanted: number): boolean | undefined =>
      verdictOn(of, 'MB/s', { unit: '', better, wanted })?.kept
    expect([kept('more', 1.1), kept('more', 1.2), kept('less', 1.2), kept('less', 1.1)]).toEqual([
      true,
      false,
      true,
      false,
    ])
    expect(verdictOn(of, 'CPU', { unit: 's', better: 'less', wanted: 1 })).toEqual({
      wanted: '≤ 1 × Kafka',
      kept: undefined,
    })
  })

  test('make a page that leaves no gap silent', () => {
    const page = markdownOf(results)
    expect(page).toContain(
      '| 16 KiB | MB/s | 20 (10–30) | 18 (10–40) | 1.11 × | – [1] | – | – | – | ≥ 1.15 × Kafka: **missed** |',
    )
    expect(page).toContain('- [1] NATS: not asked: it has / one kind')
    expect(page).toContain('| Redis | **missing: apt-get install redis** |')
    expect(page).toContain('took 12.5 % of the processors')
    expect(page).toContain('2026-01-02-peers.svg')
  })

  test('make bars, also where there are none to draw', () => {
    const drawn = svgOf(results)
    expect(drawn).toContain('A &lt;question&gt;')
    expect(drawn.match(/<rect [^>]*fill="#(?!fff)/g)).toHaveLength(2)
    expect(drawn).toContain('>not asked</text>')
    expect(drawn).toContain('>missing</text>')
    // The longest is Kafka's 40, which takes the whole width.
    expect(drawn).toContain('H690.0')
  })
})
