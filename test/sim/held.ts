/** What stands in the files of a replica in a simulated cluster: its records, and its batches below the high watermark. */
import { readFile } from '../../base/files.ts'
import type { Tablet } from '../../broker/tablet/tablet.ts'
import { batchesIn, recordsIn } from './cluster-clients.ts'
import type { SimNode } from './cluster.ts'

export function heldBy(node: SimNode, tablet: Tablet, highWatermark: number) {
  const { disk } = node.sim.world
  const { directory } = tablet.identity
  const files = disk
    .list(directory)
    .filter(name => name.endsWith('.log'))
    .map(name => readFile(disk, `${directory}/${name}`) ?? Buffer.alloc(0))
  return {
    records: files.flatMap(recordsIn).filter(record => record.offset >= tablet.logStart),
    batches: files.flatMap(batchesIn).filter(({ baseOffset }) => baseOffset < highWatermark),
  }
}
