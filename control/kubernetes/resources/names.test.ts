import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { brokerId } from '../../../base/quantities.ts'
import { newLogTopic } from '../topic-writes.ts'
import * as names from './names.ts'

/** Names of LogClusters that end and begin as objects' names do. */
const cluster = fc
  .array(
    fc.constantFrom(
      'b',
      'a',
      '0',
      '12',
      'broker',
      'brokers',
      'config',
      'dynamic',
      'deletion',
      'external',
      'kafka',
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map(parts => parts.join('-'))
  .filter(name => name.length <= 40 && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name))
const ids = [0, 1, 12].map(brokerId)
const topic = fc.constantFrom('a', 'a-b', 'A-b', 'a.b', 'b', 'dynamic-a', 'a'.repeat(249), 'a-'.repeat(124))

/** What objects of a cluster are called, by kinds that share their names. */
const namesOf = (name: string, topics: readonly string[]): Record<string, string[]> => ({
  services: [
    names.headlessName(name),
    names.bootstrapName(name),
    ...ids.map(id => names.externalName(name, id)),
  ],
  configMaps: [names.configName(name), names.dynamicConfigName(name), names.deletionName(name)],
  leases: ['stele-operator', ...ids.map(id => names.brokerName(name, id))],
  pods: ids.map(id => `${names.brokerName(name, id)}-0`),
  accounts: ['stele-operator', names.accountName(name)],
  guards: ['stele-operator', names.guardName(name)],
  slices: [0, 1, 12].map(at => names.sliceName(name, '0'.repeat(32), at)),
  topics: topics.map(
    one =>
      newLogTopic(
        { name: one, settings: {}, tablets: 1, replication: 1 },
        { cluster: name, namespace: 'logs' },
      ).metadata.name,
  ),
})
const shared = new Set(['stele-operator'])

test('no two clusters have an object in common, whatever they are called, nor one cluster two under one name', () => {
  fc.assert(
    fc.property(cluster, cluster, fc.uniqueArray(topic, { maxLength: 4 }), (one, other, topics) => {
      const [ours, theirs] = [namesOf(one, topics), namesOf(other, topics)]
      for (const [kind, list] of Object.entries(ours)) {
        expect(new Set(list).size).toBe(list.length)
        if (one === other) continue
        const common = list.filter(name => theirs[kind]?.includes(name) === true && !shared.has(name))
        expect(common, `${kind} of ${one} and ${other}`).toEqual([])
      }
    }),
    { numRuns: 2_000 },
  )
})
