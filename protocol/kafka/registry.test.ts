import { expect, test } from 'vitest'
import { registry, spokenFor } from './registry.ts'

test('what is advertised is what real clients need', () => {
  const advertised = registry.map(
    ({ api, advertised: { min, max } }) => `${api.key} ${api.name} ${min}-${max}`,
  )
  expect(advertised).toEqual([
    '0 Produce 0-12',
    '1 Fetch 4-12',
    '2 ListOffsets 1-8',
    '3 Metadata 0-12',
    '8 OffsetCommit 2-9',
    '9 OffsetFetch 1-9',
    '10 FindCoordinator 0-5',
    '11 JoinGroup 0-9',
    '12 Heartbeat 0-4',
    '13 LeaveGroup 0-5',
    '14 SyncGroup 0-5',
    '15 DescribeGroups 0-5',
    '16 ListGroups 0-5',
    '18 ApiVersions 0-4',
    '19 CreateTopics 2-7',
    '20 DeleteTopics 1-6',
    '21 DeleteRecords 0-2',
    '22 InitProducerId 0-5',
    '23 OffsetForLeaderEpoch 2-4',
    '32 DescribeConfigs 1-4',
    '33 AlterConfigs 0-2',
    '35 DescribeLogDirs 1-4',
    '37 CreatePartitions 0-3',
    '42 DeleteGroups 0-2',
    '43 ElectLeaders 0-2',
    '44 IncrementalAlterConfigs 0-1',
    '45 AlterPartitionReassignments 0-1',
    '46 ListPartitionReassignments 0-0',
    '47 OffsetDelete 0-0',
    '60 DescribeCluster 0-2',
    '75 DescribeTopicPartitions 0-0',
  ])
})

test('everything advertised is served, but for Produce below 3', () => {
  for (const { api, advertised, served } of registry) {
    expect(served).toEqual(api.name === 'Produce' ? { min: 3, max: 12 } : advertised)
  }
})

test('an entry is found by its key', () => {
  expect(spokenFor(3)?.api.name).toBe('Metadata')
  expect(spokenFor(4)).toBeUndefined()
})
