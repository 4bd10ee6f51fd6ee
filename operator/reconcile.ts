import type { Clock } from '../base/world.ts'
import { apiVersion } from '../control/kubernetes/resources/names.ts'
import type { KubeApi } from '../kube/api.ts'
import type { EventRecorder } from '../kube/events.ts'
import type { Log } from '../kube/log.ts'
import type { Work } from '../kube/work-queue.ts'
import { apply } from './apply/apply.ts'
import { Fights } from './apply/fights.ts'
import { report, reportCluster, type ReportOptions } from './apply/report.ts'
import type { Fault } from './judge/fault.ts'
import { keptData } from './judge/kept.ts'
import type { Watches } from './observe/watches.ts'
import type { Observed } from './observe/observed.ts'
import { removalOf } from './observe/removal.ts'
import { plan } from './plan/plan.ts'
import { targetOf, type Step } from './plan/step.ts'

export type ReconcileOptions = {
  readonly api: KubeApi
  readonly clock: Clock
  readonly watches: Watches
  readonly events: EventRecorder
  readonly log: Log
  /** The brokers' image where a LogCluster names none. */
  readonly image: string
}

/** What is done after a step often allows the next one at once; it need not wait for the watches to tell of it. */
const roundsMax = 8
/** After so many steps people are told how far it has come: a thousand brokers take a while. */
const stepsAtOnce = 128
/** What was refused is tried again after so long, and what time alone changes is looked at. */
const againMs = { refused: 30_000, settled: 120_000 } as const

/** Brings one LogCluster (`namespace/name`) nearer to what it is to be, as far as it goes now, and tells how it is. */
export function reconciler({ api, clock, watches, events, log, image }: ReconcileOptions): Work {
  const fights = new Fights(clock)
  /** What was told of LogClusters that are gone: once is enough for one operator. */
  const told = new Map<string, string>()
  const tellAlone = (key: string, alone: ReturnType<typeof keptData>): void => {
    if (alone === undefined) told.delete(key)
    else if (told.get(key) !== alone.message) {
      told.set(key, alone.message)
      const { regarding, reason, message } = alone
      log.warn({ key, reason }, message)
      events.record({ regarding, type: 'Warning', reason, action: 'Check', note: message })
    }
  }
  const wrote = watches.wrote.bind(watches)
  const reporting = (signal: AbortSignal): ReportOptions => ({
    api,
    wrote,
    record: fact => events.record(fact),
    signal,
  })
  return async (key, signal) => {
    const deleted = watches.deleted.bind(watches)
    let refused: readonly Fault[] = []
    let unsettled = false
    for (let round = 0; round < roundsMax; round += 1) {
      const observed = await watches.observe(key, image)
      const { cluster } = observed
      const record = (fact: Omit<Parameters<EventRecorder['record']>[0], 'regarding'>): void => {
        if (cluster !== undefined) events.record({ ...fact, regarding: cluster })
      }
      const found: Fault[] = []
      let moved = false
      unsettled = false
      for (const planned of plan(observed)) {
        const due = planned.filter(step => fights.mayTake(key, step)).map(step => withNote(step, observed))
        for (let from = 0; from < due.length; from += stepsAtOnce) {
          const steps = due.slice(from, from + stepsAtOnce)
          for (const step of steps)
            log.debug({ key, step: step.kind, target: targetOf(step), reason: step.reason }, 'step')
          const applied = await apply(steps, { api, cluster, wrote, deleted, record, signal })
          if (applied.refused.length === 0) fights.took(key, steps)
          found.push(...applied.refused)
          moved ||= applied.moved || applied.undefinedKind
          if (applied.undefinedKind) watches.doubt(key, removalOf(observed)?.uid)
          unsettled ||= applied.stale
          if (from + stepsAtOnce < due.length)
            await reportCluster(await watches.observe(key, image), [...found, ...refused], reporting(signal))
        }
      }
      refused = [...found, ...fights.faultsOf(key)]
      if (!moved) break
    }
    const observed = await watches.observe(key, image)
    await report(observed, refused, reporting(signal))
    tellAlone(key, refusedAlone(observed, refused) ?? keptData(observed))
    const isRemoving = removalOf(observed) !== undefined || observed.endings.size > 0
    if (observed.cluster === undefined && observed.topics.size === 0 && !unsettled && !isRemoving)
      return undefined
    const isOpen = refused.length > 0 || unsettled || watches.isBlurred(key)
    const usualMs = isOpen ? againMs.refused : againMs.settled
    return { againAfterMs: Math.min(usualMs, fights.nextMs(key) ?? usualMs) }
  }
}

/** What the API server would not have where no LogCluster is that could say it. */
function refusedAlone({ cluster, key }: Observed, refused: readonly Fault[]): ReturnType<typeof keptData> {
  const [first] = refused
  if (cluster !== undefined || first === undefined) return undefined
  const message = refused.map(fault => fault.message).join('; ')
  return { reason: first.reason, message, regarding: { apiVersion, kind: 'LogCluster', metadata: key } }
}

/** A step that makes again what somebody has deleted says so. */
function withNote(step: Step, { vanished }: Observed): Step {
  if (step.kind !== 'apply' || !step.isNew || !vanished.has(targetOf(step))) return step
  const note = `the ${targetOf(step)} was deleted, and is made again: change the LogCluster instead`
  return { ...step, event: { type: 'Normal', reason: 'PutBack', action: 'PutBack', note } }
}
