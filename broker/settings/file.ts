/**
 * What a broker is started with: the text of a Kafka-style properties file and `key=value` words from the command line in,
 * checked settings under the broker's names out. Words win over the file; every mistake is told at once, with its place.
 */
import { Refusal } from '../../base/refusals.ts'
import { named, valueOf } from '../../control/settings/lookup.ts'
import { parseProperties } from './properties.ts'

export type Given = {
  readonly file?: { readonly path: string; readonly text: string }
  /** `key=value` each, as from `--set`. */
  readonly set: readonly string[]
}

/** @throws Refusal INVALID_CONFIG with a line for each mistake: `server.properties line 3: …`, `--set num.partitions=x: …` */
export function readSettings({ file, set }: Given): Record<string, string> {
  const mistakes: string[] = []
  const fromFile = new Map<string, string>()
  const fromWords = new Map<string, string>()
  const take = (into: Map<string, string>, where: string, name: string, value: string) => {
    const mistake = into.has(name) ? `${name} is set twice` : mistakeIn(name, value)
    if (mistake === undefined) into.set(name, value.trim())
    else mistakes.push(`${where}: ${mistake}`)
  }
  for (const { name, value, line } of file === undefined ? [] : parseProperties(file.text)) {
    take(fromFile, `${file?.path} line ${line}`, name, value)
  }
  for (const word of set) {
    const at = word.indexOf('=')
    if (at > 0) take(fromWords, `--set ${word}`, word.slice(0, at).trim(), word.slice(at + 1))
    else mistakes.push(`--set ${word}: give it as NAME=VALUE`)
  }
  if (mistakes.length > 0) throw new Refusal('INVALID_CONFIG', mistakes.join('\n'))
  dropOtherNames(fromFile, fromWords)
  return Object.fromEntries([...fromFile, ...fromWords])
}

function mistakeIn(name: string, value: string): string | undefined {
  try {
    valueOf(named('broker', name), value)
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

/** A word for log.retention.hours wins over log.retention.ms in the file, though the latter counts within one place. */
function dropOtherNames(fromFile: Map<string, string>, fromWords: Map<string, string>): void {
  const rows = new Set([...fromWords.keys()].map(name => named('broker', name).row))
  for (const name of fromFile.keys()) if (rows.has(named('broker', name).row)) fromFile.delete(name)
}
