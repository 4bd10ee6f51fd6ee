// The program of the thread that compacts in bench/compaction.ts: the broker's own cleaner, on a clock that lets it rest only outside of its windows.
import { LocalCleaner, type Pass, type Span } from '../broker/log/compaction/cleaner.ts'
import { answerCalls } from '../broker/world/worker.ts'
import { realWorld } from '../broker/world/world.ts'
import { msToWork } from './windows.ts'

const world = realWorld()

/** Acts when it is this thread's turn. */
function inWindow(act: () => void): void {
  const waitMs = msToWork(Date.now())
  if (waitMs === 0) act()
  else world.clock.after(waitMs, () => inWindow(act))
}

const cleaner = new LocalCleaner({
  ...world,
  clock: {
    ...world.clock,
    after: (delayMs, act) => world.clock.after(delayMs, () => inWindow(act)),
    endOfTurn: act => world.clock.endOfTurn(() => inWindow(act)),
  },
})

answerCalls({
  begin: pass => cleaner.begin(pass as Pass),
  clean: spans => cleaner.clean(spans as readonly Span[]),
})
