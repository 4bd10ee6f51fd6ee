/**
 * What we answer is what Kafka answers, field by field, in every version that both serve; or it is in the list of differences. Kafka's answers
 * lie beside this file, one file a theme; they are written down anew by STELE_TEST_BROKER=kafka STELE_TEST_RECORD=1.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isKafka, useBroker } from '../broker.ts'
import { differences, read, told, written, type Difference } from './compare.ts'
import { isAt, listed, type Place } from './differences.ts'
import { cluster } from './cluster.ts'
import { Interview, type Theme } from './interview.ts'
import { malformed } from './malformed.ts'
import { offsets } from './offsets.ts'
import { produced } from './produced.ts'
import { fetched } from './fetched.ts'
import { settings } from './settings.ts'
import { topics } from './topics.ts'

/** What the reference is started with, too. */
const settingsOfBoth = {
  'node.id': '1',
  'group.initial.rebalance.delay.ms': '0',
  'offsets.topic.replication.factor': '1',
}
const broker = useBroker({ settings: settingsOfBoth })
/** The malformed ones go first: some mean all topics there are. */
const themes: Readonly<Record<string, Theme>> = {
  malformed,
  topics,
  settings,
  produced,
  offsets,
  fetched,
  cluster,
}
const places = listed.flatMap(entry => entry.places)
const used = new Set<Place>()
const held = new Set<string>()

for (const [name, theme] of Object.entries(themes)) {
  test(`${name}: every question is answered as Kafka answers it, in every version`, async () => {
    const recorded = join(import.meta.dirname, `${name}.kafka.txt`)
    const answers = await Interview.hold(Number(broker().kafka.split(':').at(-1)), theme)
    held.add(name)
    if (isKafka && process.env['STELE_TEST_RECORD'] === '1') writeFileSync(recorded, written(answers))
    const found = differences(read(readFileSync(recorded, 'utf8')), answers)
    const unlisted = found.filter(difference => isKafka || !isListed(difference))
    expect(answers.length).toBeGreaterThan(50)
    expect(unlisted.map(told)).toEqual([])
  })
}

test.skipIf(isKafka)('every listed difference is one', context => {
  if (held.size < Object.keys(themes).length) context.skip('not every theme was asked about')
  expect(places.filter(place => !used.has(place))).toEqual([])
})

function isListed(difference: Difference): boolean {
  const here = places.filter(place => isAt(place, difference))
  for (const place of here) used.add(place)
  return here.length > 0
}
