/**
 * Which value holds, and why. In come the texts set for a topic, for all brokers while running, and at the broker's start;
 * out go typed settings, or the description DescribeConfigs wants. The nearest source always wins: topic, dynamic, static, default.
 */
import { assert } from '../../base/assert.ts'
import { Refusal } from '../../base/refusals.ts'
import { brokerRows, topicRows } from '../../control/settings/definitions.ts'
import type { Row } from '../../control/settings/definitions.ts'
import { nameOf, readValue, valueOf } from '../../control/settings/lookup.ts'
import type { Level, Named } from '../../control/settings/lookup.ts'
import { isEveryInterface } from '../../control/settings/listeners.ts'
import type { KafkaType } from '../../control/settings/values.ts'

type Texts = Readonly<Record<string, string>>

export type Sources = {
  /** The topic's own settings, under the topic's names. */
  readonly topic?: Texts
  /** `ControlStore.brokerSettings()`. */
  readonly dynamic: Texts
  /** What the broker was started with: `readSettings`. */
  readonly static: Texts
}

type Typed<Rows> = { readonly [K in keyof Rows]: Rows[K] extends Row<infer T> ? T : never }

/** A topic's settings in force. Sizes in bytes, times in milliseconds, Infinity for no limit. */
export type TopicSettings = Typed<typeof topicRows>
/** A broker's own settings. Sizes in bytes, times in milliseconds, Infinity for no limit. */
export type BrokerSettings = Typed<typeof brokerRows>

/** @throws Refusal INVALID_CONFIG when a text is not one of its setting */
export const resolveTopic = (sources: Sources): TopicSettings => typed(topicRows, sources)

/** @throws Refusal INVALID_CONFIG when a text is not one of its setting, or two contradict each other */
export function resolveBroker(sources: Sources): BrokerSettings {
  const settings = typed(brokerRows, sources)
  for (const { door, host, port } of settings.advertisedListeners) {
    if (isEveryInterface(host) || port === 0) {
      throw new Refusal(
        'INVALID_CONFIG',
        'advertised.listeners must name a host and a port clients can connect to',
      )
    }
    if (!settings.listeners.some(listener => listener.door === door)) {
      throw new Refusal('INVALID_CONFIG', `advertised.listeners names the ${door} door, listeners does not`)
    }
  }
  return settings
}

function typed<Rows extends Readonly<Record<string, Row>>>(rows: Rows, sources: Sources): Typed<Rows> {
  return Object.fromEntries(
    Object.entries(rows).map(([property, row]) => {
      const [first] = given(row, sources)
      assert(first !== undefined, 'every setting has a default')
      return [property, valueOf(first.setting, first.text)]
    }),
  ) as Typed<Rows>
}

export type Source = 'topic' | 'dynamic-default-broker' | 'static-broker' | 'default'

type Given = { readonly setting: Named; readonly text: string; readonly source: Source }

/** Every text given for `row`, the one that holds first, the default last. */
function given(row: Row, sources: Sources): Given[] {
  const own = { name: nameOf('broker', row), row, dynamic: true }
  const topic = { name: nameOf('topic', row), row, dynamic: true }
  const aliases = row.aliases.map(alias => ({ name: alias.name, row, alias, dynamic: false }))
  return [
    ...pick(row.topic === undefined ? [] : [topic], sources.topic ?? {}, 'topic'),
    ...pick(row.broker === undefined ? [] : [own], sources.dynamic, 'dynamic-default-broker'),
    ...pick(row.broker === undefined ? [] : [own, ...aliases], sources.static, 'static-broker'),
    { setting: own, text: row.default, source: 'default' },
  ]
}

const pick = (settings: readonly Named[], texts: Texts, source: Source): Given[] =>
  settings.flatMap(setting => {
    const text = Object.hasOwn(texts, setting.name) ? texts[setting.name] : undefined
    return text === undefined ? [] : [{ setting, text, source }]
  })

export type Described = {
  readonly name: string
  readonly value: string
  readonly source: Source
  readonly type: KafkaType
  /** Whether it is read at start only. */
  readonly readOnly: boolean
  readonly doc: string
  /** Every value given for it and where, the one that holds first. */
  readonly synonyms: readonly { readonly name: string; readonly value: string; readonly source: Source }[]
}

/** The settings in force for a topic, under a topic's names. */
export const describeTopic = (sources: Sources): Described[] =>
  Object.values(topicRows).map(row => describe('topic', row, sources, false))

/** The broker's settings, the ones that topics get from it included. */
export const describeBroker = ({ dynamic, static: fixed }: Sources): Described[] => [
  ...Object.values(topicRows)
    .filter(row => row.broker !== undefined)
    .map(row => describe('broker', row, { dynamic, static: fixed }, false)),
  ...Object.values(brokerRows).map((row: Row) =>
    describe('broker', row, { dynamic, static: fixed }, row.whileRunning !== true),
  ),
]

/** Names of what this start says otherwise than it holds, because it was changed while brokers ran: that goes before. */
export const overruled = ({ dynamic, static: fixed }: Sources): string[] =>
  [...Object.values(topicRows), ...Object.values(brokerRows)].flatMap((row: Row) => {
    const [first, said] = given(row, { dynamic, static: fixed })
    if (first?.source !== 'dynamic-default-broker' || said?.source !== 'static-broker') return []
    const [holds, asked] = [first, said].map(({ setting, text }) => readValue(setting, text).text)
    return holds === asked ? [] : [nameOf('broker', row)]
  })

function describe(level: Level, row: Row, sources: Sources, readOnly: boolean): Described {
  const all = given(row, sources)
  const [first] = all
  assert(first !== undefined, 'every setting has a default')
  return {
    name: nameOf(level, row),
    value: readValue(first.setting, first.text).text,
    source: first.source,
    type: row.kind.type,
    readOnly,
    doc: row.doc,
    // As in Kafka: a default is the broker's.
    synonyms: all
      .filter(({ source }) => source !== 'default' || row.broker !== undefined)
      .map(({ setting, text, source }) => ({ name: setting.name, value: text, source })),
  }
}
