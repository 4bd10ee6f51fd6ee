/** The program of the thread that compacts: it reads, filters and writes segments, and knows nothing else of the broker. */
import { LocalCleaner, type Pass, type Span } from './log/compaction/cleaner.ts'
import { answerCalls } from './world/worker.ts'
import { realWorld } from './world/world.ts'

const cleaner = new LocalCleaner(realWorld())

answerCalls({
  begin: pass => cleaner.begin(pass as Pass),
  clean: spans => cleaner.clean(spans as readonly Span[]),
})
