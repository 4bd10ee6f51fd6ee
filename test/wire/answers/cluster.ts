/** Questions about the brokers, and questions that nobody should ask. */
import { apiVersions } from '../../../protocol/kafka/apis/api-versions.ts'
import { describeCluster } from '../../../protocol/kafka/apis/describe-cluster.ts'
import { describeLogDirs } from '../../../protocol/kafka/apis/describe-log-dirs.ts'
import { electLeaders } from '../../../protocol/kafka/apis/elect-leaders.ts'
import { findCoordinator } from '../../../protocol/kafka/apis/find-coordinator.ts'
import { initProducerId } from '../../../protocol/kafka/apis/init-producer-id.ts'
import { produce } from '../../../protocol/kafka/apis/produce.ts'
import { decodeResponse } from '../../../protocol/kafka/frame.ts'
import { batchOf, produceBody } from '../../../broker/doors/kafka/broker.fixture.ts'
import { int16, int32, join, request, sized, text } from '../raw.ts'
import { versionsOf, type Interview, type Theme } from './interview.ts'

const versions: Theme = async i => {
  for (const version of versionsOf(apiVersions)) {
    const ask = (what: string, clientSoftwareName: string, clientSoftwareVersion = '1.0') =>
      i.ask(what, apiVersions, version, { clientSoftwareName, clientSoftwareVersion })
    await ask('what is served', 'wire-tests')
    if (version < 3) continue
    await ask('for software without a name', '')
    await ask('for software without a version', 'wire-tests', '')
    await ask('for software with a strange name', 'wire tests!')
    await ask('for software with a name that ends strangely', 'wire-')
  }
  for (const version of [99, 32767, -1]) {
    const client = await i.other()
    client.socket.write(request(apiVersions.key, version, Buffer.alloc(0)))
    const frame = await client.frame()
    const answer =
      frame === undefined ? 'the connection is closed' : decodeResponse(frame, apiVersions, 0).body
    i.note(`ApiVersions: version ${version}`, 0, answer)
    client.close()
  }
}

/** So many bytes of an answer are written down; there are ids and ports in longer ones. */
const shown = 30

/** Requests as bytes, and the bytes that come back. */
const strange: Theme = async i => {
  const ask = async (what: string, bytes: Buffer): Promise<void> => {
    const client = await i.other()
    client.socket.write(bytes)
    const frame = await i.within(client.frame())
    const told = frame instanceof Buffer && frame.length > shown ? 'there is an answer' : frame
    i.note(
      `A strange request: ${what}`,
      0,
      told instanceof Buffer ? told.toString('hex') : (told ?? 'the connection is closed'),
    )
    client.close()
  }
  for (const key of [-1, 4, 5, 6, 7, 999, 32767]) await ask(`API ${key}`, request(key, 0, Buffer.alloc(0)))
  for (const key of [1, 2, 3, 10, 11, 19, 20, 22, 32, 60, 75]) {
    await ask(`API ${key}, version 99`, request(key, 99, Buffer.alloc(0)))
    await ask(`API ${key}, version -1`, request(key, -1, Buffer.alloc(0)))
  }
  await ask('Fetch 3, which was once', request(1, 3, Buffer.alloc(0)))
  await ask('ListOffsets 0, which was once', request(2, 0, Buffer.alloc(0)))
  await ask('CreateTopics 1, which was once', request(19, 1, Buffer.alloc(0)))
  await ask('a request that ends in its header', sized(join(int16(3), int16(1))))
  await ask('a request that ends in its body', request(3, 1, join(int32(1), int16(9))))
  await ask('a list that is longer than its request', request(3, 1, int32(2_000_000_000)))
  await ask('a list of less than nothing', request(3, 1, int32(-2)))
  await ask('bytes behind the end', request(3, 1, join(int32(0), Buffer.from('more'))))
  await ask('a name that is null where it may not be', request(3, 1, join(int32(1), text(null))))
  await ask('a request of no bytes', int32(0))
  await ask('a request of less than no bytes', int32(-1))
  await ask('a request of far too many bytes', int32(2_000_000_000))
}

const brokers: Theme = async i => {
  for (const version of versionsOf(describeCluster)) {
    const ask = (what: string, more: object) =>
      i.ask(what, describeCluster, version, { includeClusterAuthorizedOperations: false, ...more })
    await ask('the cluster', {})
    await ask('with what one may do', { includeClusterAuthorizedOperations: true })
    if (version >= 1) await ask('the controllers', { endpointType: 2 })
    if (version >= 1) await ask('nothing known', { endpointType: 9 })
    if (version >= 2) await ask('with fenced brokers', { includeFencedBrokers: true })
  }
  await i.topic('sized', 2, { 'retention.ms': '-1' })
  for (let n = 0; n < 3; n++) await i.quietly(produce, 9, produceBody('sized', batchOf(`record ${n}`)))
  for (const version of versionsOf(describeLogDirs)) {
    const ask = (what: string, topics: { topic: string; partitions: number[] }[]) =>
      i.ask(what, describeLogDirs, version, { topics })
    await ask('one topic', [{ topic: 'sized', partitions: [0, 1] }])
    await ask('unknown ones among others', [
      { topic: 'sized', partitions: [1, 7, -1] },
      { topic: 'nowhere', partitions: [0] },
    ])
    await ask('one partition twice', [{ topic: 'sized', partitions: [0, 0] }])
    await ask('no partitions', [{ topic: 'sized', partitions: [] }])
    await ask('nothing', [])
  }
}

const elections: Theme = async i => {
  await i.topic('elected', 2)
  for (const version of versionsOf(electLeaders)) {
    const elect = (
      what: string,
      topicPartitions: { topic: string; partitions: number[] }[] | null,
      type = 0,
    ) => i.ask(what, electLeaders, version, { electionType: type, topicPartitions, timeoutMs: 5_000 })
    for (const type of version < 1 ? [0] : [0, 1]) {
      const kind = type === 0 ? 'preferred' : 'unclean'
      await elect(`${kind} ones that lead`, [{ topic: 'elected', partitions: [0, 1] }], type)
      await elect(`${kind}, not there`, [{ topic: 'elected', partitions: [2, -1] }], type)
      await elect(`${kind}, nowhere`, [{ topic: 'nowhere', partitions: [0] }], type)
      await elect(`${kind}, none`, [], type)
    }
  }
}

/** Codes of those who are only not ready yet. */
const notYet = new Set([14, 15, 16, 51])

const coordinators: Theme = async i => {
  const find = async (keyType: number) =>
    (await i.quietly(findCoordinator, 1, { key: 'k', keyType })).errorCode
  await i.until(async () => !notYet.has(await find(0)))
  await i.until(async () => !notYet.has(await find(1)))
  for (const version of versionsOf(findCoordinator)) {
    const ask = (what: string, keys: string[], keyType = 0) =>
      i.ask(what, findCoordinator, version, {
        keyType,
        ...(version < 4 ? { key: keys[0] ?? '' } : { coordinatorKeys: keys }),
      })
    await ask('of a group', ['g'])
    await ask('of a group without a name', [''])
    if (version >= 4) await ask('of several groups', ['g', 'h', 'g'])
    if (version >= 4) await ask('of no group', [])
    if (version < 1) continue
    await ask('of a transaction', ['tx'], 1)
    await ask('of a share group', ['s'], 2)
    await ask('of nothing known', ['n'], 9)
  }
  const transactional = { transactionalId: 'tx', transactionTimeoutMs: 10_000 }
  await i.until(async () => !notYet.has((await i.quietly(initProducerId, 4, transactional)).errorCode))
  for (const version of versionsOf(initProducerId)) {
    const ask = (what: string, more: object) =>
      i.ask(what, initProducerId, version, { transactionalId: null, transactionTimeoutMs: 10_000, ...more })
    await ask('without transactions', {})
    await ask('with a transactional id', { transactionalId: `tx-v${version}` })
    await ask('with an empty transactional id', { transactionalId: '' })
    await ask('without transactions, a timeout of 0', { transactionTimeoutMs: 0 })
    if (version < 3) continue
    await ask('again, without transactions', { producerId: 5, producerEpoch: 3 })
    await ask('an epoch without an id', { producerEpoch: 3 })
    await ask('an id without an epoch', { producerId: 5 })
  }
}

export const cluster: Theme = async (i: Interview) => {
  for (const theme of [versions, strange, brokers, elections, coordinators]) await theme(i)
}
