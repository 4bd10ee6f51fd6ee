/**
 * The page about differences from Kafka, written from their list: `node test/wire/answers/write-docs.ts > docs/kafka-differences.md`. Nothing
 * comes in; the same list always gives the same page.
 */
import { kafkaVersion } from '../../kafka-jars.ts'
import { listed, type Listed, type Place } from './differences.ts'

export const differencesPage = (): string =>
  `${[
    '# Where answers differ from Kafka’s',
    'This page is written from the list in `test/wire/answers/differences.ts`; after changing it run `node test/wire/answers/write-docs.ts > docs/kafka-differences.md`.',
    `Every API that both serve is asked the same questions in every version, good ones and bad ones, of Stele and of Kafka ${kafkaVersion}, and the answers are compared field by field. What is not here is answered alike. Ids, ports, times and the wording of messages are not compared.`,
    'What depends on the moment is not asked either: records are there for readers, and acknowledged, once they are on the disk, where Kafka has them in memory at once. A Produce with acks=all whose timeout is shorter than that may be answered REQUEST_TIMED_OUT, and one without acknowledgement is seen a little later.',
    ...listed.flatMap(section),
  ].join('\n\n')}\n`

function section({ title, reason, places }: Listed): string[] {
  const apis = places.flatMap(({ api }) => api ?? [])
  const lines = places.filter(({ api }) => api === undefined).map(line)
  if (apis.length > 0) lines.unshift(`- ApiVersions: ${apis.join(', ')}`)
  return [`## ${title}`, reason, lines.join('\n')]
}

function line({ question, field, kafka, ours }: Place): string {
  const where = `\`${field === '' ? question : `${question}: ${field}`}\``
  const told = [kafka === undefined ? '' : `Kafka ${kafka}`, ours === undefined ? '' : `Stele ${ours}`]
  const values = told.filter(text => text !== '').join(', ')
  return `- ${where}${values === '' ? '' : ` (${values})`}`
}

if (import.meta.main) process.stdout.write(differencesPage())
