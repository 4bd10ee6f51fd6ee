/** What the last run of the wire tests found, and the clients' versions, enter; the text of docs/clients.md leaves. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  capabilities,
  clients,
  notYet,
  tools,
  type Capability,
  type ClientName,
  type Evidence,
} from './evidence.ts'
import { outcomesFolder, type TestOutcome } from './outcomes-folder.ts'
import { versions } from './versions.ts'

type Found = (evidence: Evidence) => readonly TestOutcome[]

async function readOutcomes(): Promise<Found> {
  const all = [
    ...Object.values(clients).flatMap(shown => Object.values(shown)),
    ...Object.values(tools).flat(),
  ]
  const files = new Set(['not-yet.test.ts', ...all.map(({ file }) => file)])
  const byFile = new Map<string, TestOutcome[]>()
  for (const file of files) {
    const text = await readFile(join(outcomesFolder, `${file}.json`), 'utf8').catch(() => '[]')
    byFile.set(file, JSON.parse(text) as TestOutcome[])
  }
  return ({ file, tests }) => byFile.get(file)?.filter(({ test }) => tests.test(test)) ?? []
}

/** `yes`, or the codecs; whatever failed is named; `not run` when no test has shown anything. */
function cell(evidence: Evidence | undefined, found: Found): string {
  if (evidence === undefined) return '–'
  const outcomes = found(evidence)
  if (outcomes.length === 0) return '**not run**'
  const codecOf = ({ test }: TestOutcome): string | undefined => evidence.tests.exec(test)?.[1]
  const passed = outcomes.filter(outcome => outcome.passed)
  const failed = outcomes.filter(outcome => !outcome.passed).map(outcome => codecOf(outcome) ?? outcome.test)
  const codecs = passed.map(codecOf).filter(codec => codec !== undefined && codec !== 'none')
  const good = codecs.length > 0 ? codecs.join(', ') : passed.length > 0 ? 'yes' : ''
  return [good, ...failed.map(what => `**fails: ${what}**`)].filter(text => text !== '').join(', ')
}

/** A table as the formatter leaves it: columns of one width. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map(cells => cells[column]?.length ?? 0)),
  )
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = widths.map(width => '-'.repeat(width))
  return [head, rule, ...rows].map(row).join('\n')
}

async function clientTable(found: Found): Promise<string> {
  const columns = Object.keys(capabilities) as Capability[]
  const names = Object.keys(clients) as ClientName[]
  const rows = await Promise.all(
    names.map(async name => [
      name.startsWith('Kafka') ? 'Kafka’s own (Java)' : `\`${name}\``,
      await versions[name](),
      ...columns.map(column => cell(clients[name][column], found)),
    ]),
  )
  return table(['Client', 'Version', ...Object.values(capabilities)], rows)
}

const toolTable = (found: Found): string =>
  table(
    ['Tool', 'Outcome'],
    Object.entries(tools).map(([name, evidences]) => {
      const outcomes = evidences.flatMap(found)
      const failed = outcomes.filter(({ passed }) => !passed)
      const good = outcomes.length === 0 ? '**not run**' : 'works'
      const outcome = failed.length === 0 ? good : failed.map(({ test }) => `**fails: ${test}**`).join(', ')
      return [`\`${name}\``, outcome]
    }),
  )

const notYetTable = (found: Found): string =>
  table(
    ['What', 'What happens', 'Seen with'],
    Object.entries(notYet).map(([name, { folder, meaning }]) => {
      const outcomes = found({ file: 'not-yet.test.ts', tests: new RegExp(`^not yet > ${folder} > `) })
      const seen = outcomes.filter(({ passed }) => passed).map(({ test }) => test.split(' > ')[2] ?? '')
      return [name, meaning, seen.length === 0 ? '**not run**' : seen.join(', ')]
    }),
  )

/** The whole page. */
export async function clientsPage(): Promise<string> {
  const found = await readOutcomes()
  const parts = [
    '# Clients',
    'This page is written from what the tests with real clients found (`make wire`); after a run, `node test/wire/clients/page.ts > docs/clients.md` writes it.',
    'Each client runs unchanged, in a process of its own or in the test’s. A dash means that nothing was tried, often because the client has no such thing.',
    await clientTable(found),
    [
      '- Produces and Consumes: what one client wrote another reads back, equal and in order, uncompressed and in the codecs named. kafkajs brings gzip alone.',
      '- Idempotent: each record once and in order, with producer ids.',
      '- Groups: two members share a topic, a third joins, one is killed, the others leave, the broker is killed (kill -9) and comes back, a member resumes, all with a session time-out of six seconds. Nothing is lost, and nothing that was committed comes again.',
      '- Cooperative: the same with the cooperative-sticky assignor.',
      '- Static members: the same with `group.instance.id`; a member that is killed and comes back has the work it had.',
    ].join('\n'),
    "## Kafka's tools, Streams and Connect",
    toolTable(found),
    '## What does not work yet',
    notYetTable(found),
    [
      'Of kafkajs 2.2.4: `send()` keeps what it is answered by broker. When leaders move while one call sends to several partitions, it may resolve without having sent some of its records to anybody. Where',
      'that matters, send to one partition a call, or take another client. To a leader that falls silent (its node is cut off, or frozen) it sends again and again, and asks who leads only after',
      '`metadataMaxAge`, which is five minutes: give the producer a few seconds of it, and a `requestTimeout` as short, where that matters.',
    ].join('\n'),
  ]
  return `${parts.join('\n\n')}\n`
}

if (import.meta.main) process.stdout.write(await clientsPage())
