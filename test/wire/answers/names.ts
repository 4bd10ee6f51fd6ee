/** What differs from run to run or from broker to broker without meaning anything goes by a name. */
import { batchBytesOf } from '../../../protocol/kafka/record-batch.ts'

type Around = { readonly port: number; readonly version: number }
type Fields = Readonly<Record<string, unknown>>

export const noId = 'AAAAAAAAAAAAAAAAAAAAAA'

/** An answer with names, its lists in order. Names that the questions end with `-v` and their version lose the number. */
export const named = (answer: unknown, around: Around): unknown => inOrder(plain(answer, around))

function plain(value: unknown, around: Around): unknown {
  if (Buffer.isBuffer(value)) return batches(value)
  if (typeof value === 'string') return value.replaceAll(`-v${around.version}`, '-v')
  if (Array.isArray(value)) return value.map(item => plain(item, around))
  if (typeof value !== 'object' || value === null) return value
  const fields = value as Fields
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      name,
      plain(renamed(name, field, fields, around), around),
    ]),
  )
}

function renamed(name: string, value: unknown, fields: Fields, { port }: Around): unknown {
  switch (name) {
    case 'port':
      return value === port ? 'ours' : value
    case 'topicId':
      return value === noId ? 'none' : 'an id'
    case 'clusterId':
      return value === '' ? '' : 'an id'
    case 'producerId':
      return Number(value) >= 0 ? 'an id' : value
    case 'sessionId':
      return value === 0 ? 0 : 'an id'
    case 'logAppendTimeMs':
      return Number(value) >= 0 ? 'a time' : value
    case 'finalizedFeaturesEpoch':
      return Number(value) >= 0 ? 'a number' : value
    case 'logDir':
      return 'a path'
    case 'totalBytes':
    case 'usableBytes':
      return Number(value) >= 0 ? 'a size' : value
    case 'value':
      return String(fields['name']).endsWith('listeners') && value !== null ? 'addresses' : value
    case 'documentation':
      return value === null ? null : 'a text'
    // What is said of a failure is for people; that something is said is not.
    case 'errorMessage':
    case 'batchIndexErrorMessage':
      return value === null || value === '' || fields['errorCode'] === 0 ? value : 'a text'
    default:
      return value
  }
}

/** Record batches by what clients see of them. */
function batches(bytes: Buffer): unknown {
  const found: unknown[] = []
  let at = 0
  while (at + 61 <= bytes.length && at + batchBytesOf(bytes, at) <= bytes.length) {
    const whole = bytes.subarray(at, at + batchBytesOf(bytes, at))
    found.push({
      baseOffset: Number(whole.readBigInt64BE(0)),
      leaderEpoch: whole.readInt32BE(12),
      bytes: whole.toString('hex', 16, 17) + whole.toString('hex', 21),
    })
    at += whole.length
  }
  return { batches: found, bytesBehind: bytes.length - at }
}

/** What tells the items of a list apart, in Kafka's definitions. */
const identities = [
  'resourceType',
  'resourceName',
  'name',
  'topic',
  'key',
  'apiKey',
  'brokerId',
  'nodeId',
  'partitionIndex',
  'partition',
  'index',
  'batchIndex',
  'source',
]

export function identityOf(item: unknown): string {
  if (typeof item !== 'object' || item === null) return JSON.stringify(item)
  const fields = item as Fields
  // A batch has nothing else.
  if ('bytes' in fields) return String(fields['baseOffset'])
  return identities
    .filter(name => name in fields)
    .map(name => String(fields[name]))
    .join(' ')
}

/** Lists mean sets in most answers; those of the same identity stay in the order they came. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) {
    const keyed = value.map(inOrder).map(item => ({ item, key: identityOf(item) }))
    return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ item }) => item)
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, inOrder(field)]))
}
