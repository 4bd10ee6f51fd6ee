/**
 * The page about settings, written from their table: `node broker/settings/write-docs.ts > docs/settings.md`. Nothing
 * comes in; the same table always gives the same page.
 */
import { brokerRows, topicRows } from '../../control/settings/definitions.ts'
import type { Row } from '../../control/settings/definitions.ts'
import { nameOf } from '../../control/settings/lookup.ts'

export const settingsPage = (): string =>
  `${[
    '# Settings',
    'This page is written from the table in `control/settings/definitions.ts`; after changing it run `node broker/settings/write-docs.ts > docs/settings.md`.',
    'Names and meanings are Kafka’s wherever Kafka has the setting; Stele’s own begin with `stele.`. A broker is given its settings with `--config FILE` (a properties file) and `--set NAME=VALUE`, which wins. A name that is not here is refused, so that nothing is silently without effect.',
    '## Topics',
    'Each can be set for one topic when it is made or at any time later, or for all topics under the broker’s name for it, where it has one: at the broker’s start, or while it runs. The topic’s own value wins, then what was changed while running, then what the broker was started with.',
    ...Object.values(topicRows).flatMap(section),
    '## Broker',
    'These are read when the broker starts, unless they say that they may be changed while it runs.',
    ...Object.values(brokerRows).flatMap(section),
  ].join('\n\n')}\n`

function section(row: Row): string[] {
  const facts = [
    `- Value: ${row.kind.allowed}`,
    `- Default: ${row.default === '' ? 'empty' : `\`${row.default}\``}`,
    ...(row.topic === undefined || row.broker === undefined ? [] : [`- For all topics: \`${row.broker}\``]),
    ...(row.whileRunning === true ? ['- May be changed while it runs'] : []),
    ...row.aliases.map(({ name, times }) => `- Also: \`${name}\`${times === 1 ? '' : ` (times ${times})`}`),
  ]
  return [`### \`${nameOf('topic', row)}\``, row.doc, facts.join('\n')]
}

if (import.meta.main) process.stdout.write(settingsPage())
