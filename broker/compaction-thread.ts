import type { Begun, Cleaned, Cleaner, Damage } from './log/compaction/cleaner.ts'
import { WorkerThread } from './world/worker.ts'

/** A cleaner on a thread of its own, which exists while there is something to clean. */
export function cleanerOnThread(): Cleaner {
  const thread = new WorkerThread(program())
  return {
    begin: pass => thread.call('begin', pass) as Promise<Begun | Damage>,
    clean: spans => thread.call('clean', spans) as Promise<Cleaned | Damage>,
    end: () => thread.end(),
  }
}

/** Beside this file in a checkout; when built, in `dist/`, whichever chunk this code is in. */
function program(): URL {
  if (import.meta.url.endsWith('.ts')) return new URL('./compaction-worker.ts', import.meta.url)
  const dist = new URL('.', import.meta.url)
  return new URL(
    dist.pathname.endsWith('/chunks/') ? '../compaction-worker.mjs' : 'compaction-worker.mjs',
    dist,
  )
}
