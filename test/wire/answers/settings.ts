/** Questions about settings: reading and changing them. */
import { alterConfigs } from '../../../protocol/kafka/apis/alter-configs.ts'
import { describeConfigs } from '../../../protocol/kafka/apis/describe-configs.ts'
import { incrementalAlterConfigs } from '../../../protocol/kafka/apis/incremental-alter-configs.ts'
import { brokerRows, topicRows } from '../../../control/settings/definitions.ts'
import { versionsOf, type Interview, type Theme } from './interview.ts'

const ofTopic = 2
const ofBroker = 4
const ofLogger = 8

/** All settings of a broker that both may know: ours, but for those that only we have. Kafka has many more of its own. */
const shared = [...Object.values(topicRows), ...Object.values(brokerRows)]
  .flatMap(({ broker, aliases }) => [broker ?? '', ...aliases.map(({ name }) => name)])
  // Where a broker is to be found is said in another way to start Kafka.
  .filter(name => name !== '' && !name.startsWith('stele.') && name !== 'advertised.listeners')

const read: Theme = async i => {
  await i.topic('plain')
  await i.topic('set', 1, { 'retention.ms': '1000', 'cleanup.policy': 'compact' })
  for (const version of versionsOf(describeConfigs)) {
    const ask = (what: string, resources: [type: number, name: string, keys: string[] | null][], more = {}) =>
      i.ask(what, describeConfigs, version, {
        resources: resources.map(([resourceType, resourceName, configurationKeys]) => ({
          resourceType,
          resourceName,
          configurationKeys,
        })),
        ...more,
      })
    const whole = { includeSynonyms: true, includeDocumentation: true }
    await ask('a topic', [[ofTopic, 'plain', null]])
    await ask('a topic, all of it', [[ofTopic, 'set', null]], whole)
    await ask('some of a topic', [[ofTopic, 'set', ['retention.ms', 'no.such', 'segment.ms']]], whole)
    await ask('none of a topic', [[ofTopic, 'set', []]])
    await ask('several topics', [
      [ofTopic, 'plain', ['retention.ms']],
      [ofTopic, 'set', ['retention.ms']],
    ])
    await ask('a topic twice', [
      [ofTopic, 'plain', ['retention.ms']],
      [ofTopic, 'plain', ['retention.ms']],
    ])
    await ask('an unknown topic', [[ofTopic, 'nowhere', null]])
    await ask('a name that no topic may have', [[ofTopic, 'a b', null]])
    await ask('no name', [[ofTopic, '', null]])
    await ask('a broker', [[ofBroker, '1', shared]])
    await ask('a broker, all of it', [[ofBroker, '1', shared]], whole)
    await ask('all brokers', [[ofBroker, '', shared]])
    await ask('an unknown broker', [[ofBroker, '7', null]])
    await ask('a broker without a number', [[ofBroker, 'one', null]])
    await ask('the loggers of an unknown broker', [[ofLogger, '7', null]])
    await ask('the loggers of no broker', [[ofLogger, '', null]])
    for (const type of [0, 1, 3, 99]) await ask(`resources of type ${type}`, [[type, 'x', null]])
    await ask('nothing', [])
  }
}

type Changes = readonly (readonly [name: string, value: string | null])[]

const replaced: Theme = async i => {
  for (const version of versionsOf(alterConfigs)) {
    const name = `replaced-v${version}`
    await i.topic(name, 1, { 'segment.ms': '70000' })
    const resource = (changes: Changes, resourceType = ofTopic, resourceName = name) => ({
      resourceType,
      resourceName,
      configs: changes.map(([key, value]) => ({ name: key, value })),
    })
    const ask = (what: string, resources: ReturnType<typeof resource>[], validateOnly = false) =>
      i.ask(what, alterConfigs, version, { resources, validateOnly })
    const told = (what: string) =>
      i.ask(what, describeConfigs, 4, {
        resources: [
          { resourceType: ofTopic, resourceName: name, configurationKeys: ['retention.ms', 'segment.ms'] },
        ],
      })
    await ask('only checked', [resource([['retention.ms', '5000']])], true)
    await ask('only checked, and wrong', [resource([['retention.ms', 'x']])], true)
    await ask('an unknown setting', [resource([['no.such', '1']])])
    await ask('a value that is no number', [resource([['retention.ms', 'x']])])
    await ask('a value that is null', [resource([['retention.ms', null]])])
    await ask('a value that is empty', [resource([['retention.ms', '']])])
    await ask('a setting twice', [
      resource([
        ['retention.ms', '1'],
        ['retention.ms', '2'],
      ]),
    ])
    await ask('an unknown topic', [resource([['retention.ms', '1']], ofTopic, 'nowhere')])
    await ask('a name that no topic may have', [resource([['retention.ms', '1']], ofTopic, 'a b')])
    await ask('no name', [resource([['retention.ms', '1']], ofTopic, '')])
    await ask('a topic twice', [resource([['retention.ms', '1']]), resource([['retention.ms', '2']])])
    await ask('an unknown broker', [resource([['log.retention.ms', '1']], ofBroker, '7')])
    await ask('a broker without a number', [resource([['log.retention.ms', '1']], ofBroker, 'one')])
    await ask('a setting that a broker reads once', [
      resource(
        [
          ['num.partitions', '3'],
          ['broker.id', '3'],
        ],
        ofBroker,
        '',
      ),
    ])
    await ask('the loggers', [resource([['root', 'DEBUG']], ofLogger, '1')])
    for (const type of [0, 1, 99]) await ask(`resources of type ${type}`, [resource([], type, 'x')])
    await ask('nothing', [])
    await ask('one topic', [resource([['retention.ms', '5000']])])
    await i.set(ofTopic, name, 'retention.ms', '5000')
    await told('after all were replaced by one')
    await ask('one topic and an unknown one', [
      resource([]),
      resource([['retention.ms', '1']], ofTopic, 'nowhere'),
    ])
    await i.set(ofTopic, name, 'retention.ms', '604800000')
    await told('after all were taken away')
  }
}

const [set, remove, append, subtract] = [0, 1, 2, 3] as const
type Steps = readonly (readonly [name: string, operation: number, value: string | null])[]

const changed: Theme = async i => {
  for (const version of versionsOf(incrementalAlterConfigs)) {
    const name = `changed-v${version}`
    await i.topic(name, 1, { 'segment.ms': '70000' })
    const resource = (steps: Steps, resourceType = ofTopic, resourceName = name) => ({
      resourceType,
      resourceName,
      configs: steps.map(([key, configOperation, value]) => ({ name: key, configOperation, value })),
    })
    const ask = (what: string, resources: ReturnType<typeof resource>[], validateOnly = false) =>
      i.ask(what, incrementalAlterConfigs, version, { resources, validateOnly })
    const told = (what: string) =>
      i.ask(what, describeConfigs, 4, {
        resources: [
          {
            resourceType: ofTopic,
            resourceName: name,
            configurationKeys: ['retention.ms', 'segment.ms', 'cleanup.policy'],
          },
        ],
        includeSynonyms: true,
      })
    await ask('only checked', [resource([['retention.ms', set, '5000']])], true)
    await ask('only checked, and wrong', [resource([['retention.ms', set, 'x']])], true)
    await ask('an unknown setting', [resource([['no.such', set, '1']])])
    await ask('an unknown setting taken away', [resource([['no.such', remove, null]])])
    await ask('a value that is no number', [resource([['retention.ms', set, 'x']])])
    await ask('a value that is null', [resource([['retention.ms', set, null]])])
    await ask('a value that is empty', [resource([['retention.ms', set, '']])])
    await ask('a setting twice', [
      resource([
        ['retention.ms', set, '1'],
        ['retention.ms', remove, null],
      ]),
    ])
    await ask('added to what is no list', [resource([['retention.ms', append, '1']])])
    await ask('taken from what is no list', [resource([['retention.ms', subtract, '1']])])
    await ask('something wrong added to a list', [resource([['cleanup.policy', append, 'burn']])])
    await ask('null added to a list', [resource([['cleanup.policy', append, null]])])
    for (const operation of [4, 9, -1])
      await ask(`operation ${operation}`, [resource([['retention.ms', operation, '1']])])
    await ask('an unknown topic', [resource([['retention.ms', set, '1']], ofTopic, 'nowhere')])
    await ask('a name that no topic may have', [resource([['retention.ms', set, '1']], ofTopic, 'a b')])
    await ask('no name', [resource([['retention.ms', set, '1']], ofTopic, '')])
    await ask('a topic twice', [
      resource([['retention.ms', set, '1']]),
      resource([['retention.ms', set, '2']]),
    ])
    await ask('an unknown broker', [resource([['log.retention.ms', set, '1']], ofBroker, '7')])
    await ask('a broker without a number', [resource([['log.retention.ms', set, '1']], ofBroker, 'one')])
    await ask('a setting that a broker reads once', [resource([['broker.id', set, '3']], ofBroker, '')])
    await ask('an unknown setting of a broker', [resource([['no.such', set, '3']], ofBroker, '')])
    await ask('a wrong value of a broker', [resource([['log.retention.ms', set, 'x']], ofBroker, '')])
    await ask('the loggers', [resource([['root', append, 'DEBUG']], ofLogger, '1')])
    await ask('an unknown log level', [resource([['root', set, 'SHOUT']], ofLogger, '1')])
    for (const type of [0, 1, 99]) await ask(`resources of type ${type}`, [resource([], type, 'x')])
    await ask('nothing', [])
    await ask('nothing of a topic', [resource([])])
    await ask('several at once', [
      resource([
        ['retention.ms', set, '5000'],
        ['segment.ms', remove, null],
        ['cleanup.policy', append, 'compact'],
      ]),
    ])
    await i.set(ofTopic, name, 'retention.ms', '5000')
    await told('after several at once')
    await ask('one taken from a list', [resource([['cleanup.policy', subtract, 'delete']])])
    await i.set(ofTopic, name, 'cleanup.policy', 'compact')
    await told('after one was taken from a list')
    await ask('something taken from a list that is not in it', [
      resource([['cleanup.policy', subtract, 'delete']]),
    ])
    await ask('something added to a list that is in it', [resource([['cleanup.policy', append, 'compact']])])
    await ask('of all brokers', [resource([['log.retention.ms', set, '77000']], ofBroker, '')])
    await i.set(ofTopic, 'plain', 'retention.ms', '77000')
    await i.ask('after a change for all brokers', describeConfigs, 4, {
      resources: [
        { resourceType: ofBroker, resourceName: '', configurationKeys: null },
        { resourceType: ofTopic, resourceName: 'plain', configurationKeys: ['retention.ms'] },
      ],
      includeSynonyms: true,
    })
    await ask('of all brokers, taken back', [resource([['log.retention.ms', remove, null]], ofBroker, '')])
    await i.set(ofTopic, 'plain', 'retention.ms', '604800000')
    await ask('of one broker', [resource([['log.retention.ms', set, '77000']], ofBroker, '1')], true)
  }
}

export const settings: Theme = async (i: Interview) => {
  for (const theme of [read, replaced, changed]) await theme(i)
}
