/** How far copies are, as brokers say it on their Leases: the status shows it, and follows at a pace that costs the API server little. */
import { expect, test } from 'vitest'
import { brokerId, incarnation } from '../../../base/quantities.ts'
import { reportTexts } from '../../../control/kubernetes/broker-report.ts'
import { runIn } from '../../../control/kubernetes/standing.ts'
import type { CopyReport } from '../../../control/model.ts'
import { leases } from '../../../kube/resources.ts'
import { namespace, Operated } from './operated.ts'

const GB = 1e9

async function operated(): Promise<Operated> {
  const all = new Operated()
  all.cluster()
  all.start()
  await all.converged()
  all.topic('orders', { tablets: 3, replication: 2 })
  await all.converged()
  return all
}

function says(all: Operated, broker: number, ...copies: Partial<CopyReport>[]): void {
  all.kube.set(leases, { namespace, name: `events-broker-${broker}` }, lease => {
    if (lease === undefined) throw new Error('there is no Lease')
    const whole = copies.map(one => ({
      broker: brokerId(2),
      tablets: 1,
      tabletsDone: 0,
      bytes: 10 * GB,
      bytesLeft: 10 * GB,
      bytesPerSecond: 50e6,
      ...one,
    }))
    const texts = reportTexts({ bytes: 0, offline: [], copies: whole }, incarnation(runIn(lease) ?? 0))
    return {
      ...lease,
      metadata: { ...lease.metadata, annotations: { ...lease.metadata.annotations, ...texts } },
    }
  })
}

const copying = (all: Operated) => all.clusterNow()?.status?.copying

test('what leaders say is one sum in the status, until nothing is copied any more', async () => {
  const all = await operated()
  says(all, 0, { bytesLeft: 6 * GB })
  says(all, 1, { bytesLeft: 2 * GB, tablets: 2 })
  await all.clock.runFor(6_000)
  says(all, 1, { bytesLeft: 1 * GB, tablets: 2 })
  await all.clock.runFor(6_000)
  expect(copying(all)).toMatchObject({
    tablets: 3,
    bytes: 20 * GB,
    bytesLeft: 7 * GB,
    percent: 65,
    bytesPerSecond: 100e6,
    secondsLeft: 70,
    progress: '65% of 20 GB, about 70s left',
  })
  expect(all.condition('Progressing')).toMatchObject({
    status: 'True',
    reason: 'CopyingTablets',
    message: '3 replicas catch up with their leaders: 65% of 20 GB, about 70s left',
  })
  says(all, 0)
  says(all, 1)
  await all.clock.runFor(1_000)
  expect(copying(all)).toBeUndefined()
  expect(all.condition('Progressing')?.reason).toBe('Converged')
})

test('while much is copied the status is written every few seconds, and not at all while nothing gets nearer', async () => {
  const all = await operated()
  const before = all.writes.length
  let left = 10 * GB
  for (let second = 0; second < 120; second++) {
    left -= 30e6
    says(all, second % 3, { bytesLeft: left, broker: brokerId((second + 1) % 3) })
    await all.clock.runFor(1_000)
  }
  const written = all.writes.length - before
  expect(written).toBeGreaterThan(10)
  expect(written).toBeLessThanOrEqual(25)
  const stuck = all.writes.length
  for (let second = 0; second < 120; second++) {
    // The last ones still say how fast they were.
    says(all, second % 3, { bytesLeft: left, bytesPerSecond: 0, broker: brokerId((second + 1) % 3) })
    await all.clock.runFor(1_000)
  }
  expect(all.writes.length - stuck).toBeLessThanOrEqual(4)
  expect(copying(all)?.progress).toMatch(/nothing gets nearer now$/)
})

test('moves that have not begun count with what the others are', async () => {
  const all = new Operated(3, ['a'])
  all.cluster({ brokers: 3 })
  all.start()
  await all.converged()
  all.topic('orders', { tablets: 40, replication: 1 })
  await all.converged()
  all.kubelets.copies = false
  all.cluster({ brokers: 4 })
  await all.clock.runUntil(() => (all.clusterNow()?.status?.tablets?.moving ?? 0) === 4, 600_000)
  says(all, 0, { broker: brokerId(3), tablets: 4, bytes: 4 * GB, bytesLeft: 2 * GB })
  await all.clock.runFor(6_000)
  expect(all.condition('Progressing')?.message).toMatch(
    /^10 tablets have replicas that are still to move to other brokers: 20% of 10 GB, about 3m left$/,
  )
})
