/** What brokers do with their logs by themselves, now and then: in histories at moments that the seed picks. */
import { InvariantViolation } from '../../base/assert.ts'
import type { SimBroker } from './broker.ts'
import type { SimCluster } from './cluster.ts'

const producerIdExpirationMs = 24 * 3_600_000
/** Those that are compacting: a broker does that once at a time. */
const compacting = new WeakSet<SimBroker>()

/** Retention, and the end of producers that have been silent. Answers whether anybody could. */
export function maintain(cluster: SimCluster): boolean {
  for (const broker of atWork(cluster))
    for (const tablet of broker.tablets.all()) careful(cluster, tablet.applyRetention(producerIdExpirationMs))
  return atWork(cluster).length > 0
}

/** Checkpoints, so that segments may be compacted, and compacts them; it goes on for as long as the broker runs. */
export function compact(cluster: SimCluster): boolean {
  for (const broker of atWork(cluster)) {
    if (compacting.has(broker)) continue
    compacting.add(broker)
    const checkpoints = [...broker.tablets.all()].map(tablet => tablet.checkpoint().catch(known))
    const work = Promise.all(checkpoints).then(() => broker.compact())
    careful(
      cluster,
      work.finally(() => compacting.delete(broker)),
    )
  }
  return atWork(cluster).length > 0
}

/** Everything that can be, to the end; a tablet that goes back to its preferred leader just now is left out. */
export async function compactAll({ nodes }: SimCluster): Promise<void> {
  for (const { broker } of nodes) {
    for (const tablet of broker?.tablets.all() ?? []) await tablet.checkpoint().catch(known)
    await broker?.compact()
  }
}

const atWork = ({ able }: SimCluster): SimBroker[] => able.flatMap(({ broker }) => broker ?? [])

function careful(cluster: SimCluster, work: Promise<void>): void {
  work.catch(known).catch((error: unknown) => cluster.failed(error))
}

/** Failing disks make it fail, and it is tried again another time; a broken invariant is a broker that breaks off. */
function known(error: unknown): void {
  if (error instanceof InvariantViolation) throw error
}
