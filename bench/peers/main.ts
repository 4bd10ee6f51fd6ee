// Stele beside other logs on this machine: the same questions, in one run, in turns. `--help` says how.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { machine } from './machine.ts'
import { kafka } from './kafka.ts'
import { fileName, markdownOf } from './markdown.ts'
import { nats } from './nats.ts'
import { Missing, type Peer } from './peer.ts'
import { consume } from './questions/consume.ts'
import { endToEnd } from './questions/end-to-end.ts'
import { latency } from './questions/latency.ts'
import { memory } from './questions/memory.ts'
import { produce } from './questions/produce.ts'
import { start } from './questions/start.ts'
import { rabbitmq } from './rabbitmq.ts'
import { redis } from './redis.ts'
import type { Results } from './results.ts'
import { askQuestion, hasFailed, type Question, type QuestionResult } from './rounds.ts'
import { stele } from './stele.ts'
import { svgOf } from './svg.ts'

const allPeers: readonly Peer[] = [stele, kafka, nats, redis, rabbitmq]
const allQuestions: readonly Question[] = [produce, consume, latency, endToEnd, memory, start]

const checkout = join(import.meta.dirname, '..', '..')

type Asked = {
  readonly quick?: true
  readonly long?: true
  readonly peers: readonly Peer[]
  readonly questions: readonly Question[]
  readonly cases?: string
  readonly rounds?: number
  readonly seed: number
  readonly name?: string
  readonly out?: string
}

const command = new Command('make bench-peers')
  .description(
    'Measures Stele beside other logs on this machine: in each round every peer is asked every question once, in an order drawn from a seed. Writes DATE-NAME.json, .md and .svg.',
  )
  .option('--quick', 'one small round that only proves that it works, in a minute or two')
  .option('--long', 'also what takes gigabytes of disk and many minutes')
  .addOption(
    new Option('--peers <names>', `some of ${namesOf(allPeers)}`)
      .argParser(oneOf(allPeers))
      .default(allPeers, 'all'),
  )
  .addOption(
    new Option('--questions <names>', `some of ${namesOf(allQuestions)}`)
      .argParser(oneOf(allQuestions))
      .default(allQuestions, 'all'),
  )
  .option('--cases <text>', 'only cases with this text in their name')
  .option('--rounds <count>', 'rounds that count (default: 5, with --quick 1)', whole)
  .option('--seed <number>', 'draws the order of the peers', whole, 1)
  .option(
    '--name <name>',
    'what the files are called after the date (default: "peers", with --quick "quick")',
  )
  .option(
    '--out <directory>',
    'where they go (default: bench/results, with --quick .cache/bench, which is not kept)',
  )
  .addHelpText(
    'after',
    `
Examples:
  make bench-peers                                          everything, in hours
  make bench-peers ARGS=--quick                             does it all work?
  make bench-peers ARGS='--peers stele,kafka --questions produce,consume --name first-look'
  make bench-peers ARGS='--questions produce --cases acks=all'
  TMPDIR=DIRECTORY make bench-peers ARGS='--questions start --long'
                                                            with the logs on another disk

A peer that this machine does not have is named in the results, with what would bring it. Nothing
else should run meanwhile; what did is told below each table.`,
  )
  .action(async () => process.exit(await compare(command.opts<Asked>())))

// Whoever ends this ends what it started, and is not heard a second time meanwhile.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))
await command.parseAsync()

/** The exit code: 1 when something failed, though not when a peer is missing. */
async function compare(asked: Asked): Promise<number> {
  const quick = asked.quick === true
  const rounds = asked.rounds ?? (quick ? 1 : 5)
  const warmUps = quick ? 0 : 1
  const date = new Date().toISOString()
  const peers: { name: string; version?: string; missing?: string }[] = []
  const there: Peer[] = []
  for (const peer of asked.peers) {
    try {
      peers.push({ name: peer.name, version: await peer.prepare() })
      there.push(peer)
    } catch (error) {
      const missing = `${error instanceof Missing ? 'missing' : 'failed'}: ${String(error instanceof Error ? error.message : error)}`
      peers.push({ name: peer.name, missing })
    }
    progress(`${peer.name}: ${peers.at(-1)?.version ?? peers.at(-1)?.missing}`)
  }
  const questions: QuestionResult[] = []
  const results = (): Results => ({
    name: asked.name ?? (quick ? 'quick' : 'peers'),
    date,
    rounds,
    warmUps,
    seed: asked.seed,
    quick,
    machine: machine(),
    peers,
    questions,
  })
  const out = asked.out ?? join(checkout, quick ? '.cache/bench' : 'bench/results')
  for (const question of asked.questions) {
    progress(`\n${question.title}`)
    const extent = { quick, long: asked.long === true, only: asked.cases ?? '' }
    questions.push(
      await askQuestion(question, there, { rounds, warmUps, seed: asked.seed, extent, progress }),
    )
    // After each, so that a long run that is broken off leaves what it has.
    write(out, results())
  }
  process.stdout.write(markdownOf(results()))
  progress(`\nwritten: ${relative(process.cwd(), join(out, fileName(results())))}.{json,md,svg}`)
  const failures = questions.flatMap(({ cases }) =>
    cases.flatMap(({ gaps }) => Object.values(gaps).filter(hasFailed)),
  )
  return failures.length > 0 || peers.some(({ missing }) => missing !== undefined && hasFailed(missing))
    ? 1
    : 0
}

function write(out: string, results: Results): void {
  mkdirSync(out, { recursive: true })
  const file = join(out, fileName(results))
  writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 1)}\n`)
  writeFileSync(`${file}.md`, markdownOf(results))
  writeFileSync(`${file}.svg`, svgOf(results))
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}

function namesOf(all: readonly { readonly name: string }[]): string {
  return all.map(({ name }) => name.toLowerCase()).join(', ')
}

function oneOf<Item extends { readonly name: string }>(all: readonly Item[]): (words: string) => Item[] {
  return words => {
    const wanted = words.split(',').map(word => word.trim().toLowerCase())
    const unknown = wanted.find(word => !all.some(({ name }) => name.toLowerCase() === word))
    if (unknown !== undefined)
      throw new InvalidArgumentError(`There is no "${unknown}", only ${namesOf(all)}.`)
    return all.filter(({ name }) => wanted.includes(name.toLowerCase()))
  }
}

function whole(words: string): number {
  if (!/^[1-9]\d*$/.test(words)) throw new InvalidArgumentError('It has to be a whole number, at least 1.')
  return Number(words)
}
