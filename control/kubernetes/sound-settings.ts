/**
 * Settings in objects that anybody may edit: texts as they stand there come in, only such as the broker can live with go out. Always holds:
 * no text that is none of its setting gets further than this, and none lets records go that a good one would have kept.
 */
import { isDeepStrictEqual } from 'node:util'
import { Refusal } from '../../base/refusals.ts'
import type { Log } from '../../kube/log.ts'
import { topicRows } from '../settings/definitions.ts'
import { named, nameOf, valueOf, type Level } from '../settings/lookup.ts'

type Texts = Readonly<Record<string, string>>

/** `good` are the last ones of this run that were right throughout. */
type Known = { readonly texts: Texts; readonly used: Texts; readonly good: Texts | undefined }

const forEver = '9223372036854775807'
const { retentionMs, retentionBytes, minCompactionLagMs } = topicRows

export class SoundSettings {
  readonly #log: Log
  readonly #known = new Map<string, Known>()

  constructor(log: Log) {
    this.#log = log
  }

  /**
   * `texts` when all of them are right; otherwise the last ones that were. Where this run has seen none, those that are right, and nothing is
   * deleted or compacted: what was meant may have been to keep everything. `where` names the object, once and for all.
   */
  of(level: Level, where: string, texts: Texts): Texts {
    const before = this.#known.get(where)
    if (before !== undefined && isDeepStrictEqual(before.texts, texts)) return before.used
    const faults = faultsOf(level, texts)
    const used = faults.size === 0 ? texts : (before?.good ?? keepingAll(level, texts, faults))
    this.#known.set(where, { texts, used, good: faults.size === 0 ? texts : before?.good })
    if (faults.size > 0) {
      const until =
        before?.good === undefined
          ? 'nothing is deleted or compacted by these settings until that is put right'
          : 'the settings from before hold until that is put right'
      this.#log.warn({ faults: [...faults.values()] }, `${where} has settings that cannot be: ${until}`)
    }
    return used
  }

  forget(where: string): void {
    this.#known.delete(where)
  }
}

/** By name, a sentence each. */
function faultsOf(level: Level, texts: Texts): Map<string, string> {
  const faults = new Map<string, string>()
  for (const [name, text] of Object.entries(texts)) {
    try {
      const setting = named(level, name)
      if (!setting.dynamic) throw new Refusal('INVALID_CONFIG', `${name} is read at a broker's start only`)
      valueOf(setting, text)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      faults.set(name, error.message)
    }
  }
  return faults
}

function keepingAll(level: Level, texts: Texts, faults: ReadonlyMap<string, string>): Texts {
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([name]) => !faults.has(name))),
    [nameOf(level, retentionMs)]: '-1',
    [nameOf(level, retentionBytes)]: '-1',
    [nameOf(level, minCompactionLagMs)]: forEver,
  }
}
