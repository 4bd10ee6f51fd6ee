/** What other brokers' queues are told of the tablets that this broker leads. */
import { offset } from '../../base/quantities.ts'
import type { Clock } from '../../base/world.ts'
import { noBatches } from '../log/read.ts'
import type { Router } from '../router/router.ts'
import type { Tablet } from '../tablet/tablet.ts'
import type { AskedTablet, BatchesAsked, BatchesTold, EndsAsked, EndsTold, TabletEnds } from './source.ts'

/** Resolves with what is not as it was known, as soon as something is not; with nothing after `waitMs`, or when `gone` is aborted. */
export async function endsOf(
  { router, clock }: { readonly router: Router; readonly clock: Clock },
  { waitMs, tablets }: EndsAsked,
  gone: AbortSignal,
): Promise<EndsTold> {
  const news = (): EndsTold =>
    tablets.flatMap(({ known, ...asked }, at) => {
      const ends = endsHere(ledHere(router, asked))
      const same = known?.highWatermark === ends?.highWatermark && known?.logStart === ends?.logStart
      return same && ends !== null ? [] : [{ at, ends }]
    })
  const now = news()
  if (now.length > 0 || waitMs <= 0 || gone.aborted) return now
  const { promise, resolve } = Promise.withResolvers<void>()
  const act = (): void => resolve()
  const timer = clock.after(waitMs, act)
  const forget = tablets.map(asked => ledHere(router, asked)?.onReadable(act))
  gone.addEventListener('abort', act)
  await promise
  timer.cancel()
  for (const stop of forget) stop?.()
  gone.removeEventListener('abort', act)
  return news()
}

/** Rejects with a Refusal when the records cannot be read. */
export async function batchesOf(
  router: Router,
  { from, bytesMax, ...asked }: BatchesAsked,
): Promise<BatchesTold> {
  const tablet = ledHere(router, asked)
  if (tablet === undefined) return { ends: null, batches: noBatches }
  const isThere = from >= tablet.logStart && from <= tablet.logEnd
  const batches = isThere ? await tablet.read(offset(from), bytesMax, true) : noBatches
  return { ends: endsHere(tablet), batches }
}

function ledHere(router: Router, { topic, topicId, partition }: AskedTablet): Tablet | undefined {
  const tablet = router.find(topic, partition)
  return tablet?.topicId === topicId && tablet.serves ? tablet : undefined
}

const endsHere = (tablet: Tablet | undefined): TabletEnds | null =>
  tablet === undefined
    ? null
    : { logStart: tablet.logStart, highWatermark: tablet.highWatermark, logEnd: tablet.logEnd }
