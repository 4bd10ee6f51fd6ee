import { Lanes } from '../../base/lanes.ts'
import { brokerName, ports } from '../../control/kubernetes/resources/names.ts'
import type { BrokerId } from '../../base/quantities.ts'
import { ApiError } from '../../kube/api.ts'
import type { Connection } from './connect.ts'
import type { Seen } from './seen.ts'

/** Bytes of tablets on the disks of brokers. */
export type Sizes = {
  /** Undefined when the broker does not hold the tablet, or was not to be asked. */
  of(seen: Seen, broker: number, topic: string, tablet: number): number | undefined
  /** What the replica on `broker` still lacks, as the tablet's leader said; undefined when it is not being copied. */
  left(seen: Seen, broker: number, topic: string, tablet: number): number | undefined
  /** We have no right to ask brokers. */
  readonly forbidden: boolean
}

const askedAtOnce = 16
const sizeLine = /^kafka_log_log_size\{topic="([^"]+)",partition="(\d+)"\} (\d+)$/gm
const leftLine = /^stele_tablet_copy_left_bytes\{topic="([^"]+)",partition="(\d+)",broker="(\d+)"\} (\d+)$/gm

/** Asks the brokers that serve for their metrics, through the API server. One that does not answer leaves gaps. */
export async function sizesOf({ askPod }: Connection, clusters: readonly Seen[]): Promise<Sizes> {
  const bytes = new Map<string, number>()
  const left = new Map<string, number>()
  const lanes = new Lanes(askedAtOnce)
  let forbidden = false
  const look = async (seen: Seen, id: number): Promise<void> => {
    const { namespace = '', name } = seen.cluster.metadata
    const pod = { namespace, name: `${brokerName(name, id as BrokerId)}-0` }
    try {
      const text = await lanes.run(() => askPod(pod, ports.http, '/metrics'))
      for (const [, topic = '', tablet, size] of text.matchAll(sizeLine))
        bytes.set(keyOf(seen, id, topic, Number(tablet)), Number(size))
      for (const [, topic = '', tablet, broker, missing] of text.matchAll(leftLine))
        left.set(keyOf(seen, Number(broker), topic, Number(tablet)), Number(missing))
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      forbidden ||= error.code === 403
    }
  }
  await Promise.all(
    clusters.flatMap(seen =>
      [...seen.standings].flatMap(([id, { away }]) => (away === undefined ? [look(seen, id)] : [])),
    ),
  )
  return {
    forbidden,
    of: (seen, broker, topic, tablet) => bytes.get(keyOf(seen, broker, topic, tablet)),
    left: (seen, broker, topic, tablet) => left.get(keyOf(seen, broker, topic, tablet)),
  }
}

const keyOf = ({ cluster: { metadata } }: Seen, broker: number, topic: string, tablet: number): string =>
  `${metadata.namespace} ${metadata.name} ${broker} ${topic} ${tablet}`
