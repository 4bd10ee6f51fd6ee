/**
 * What clients ask to be set, judged before it is kept: names and values in, the change for the control store out, or a
 * refusal that names the setting, the value and what is allowed.
 */
import { Refusal } from '../../base/refusals.ts'
import type { SettingsChange } from '../../control/store.ts'
import { notHere, setForAll } from '../../control/settings/definitions.ts'
import { named, valueOf } from '../../control/settings/lookup.ts'
import type { Level } from '../../control/settings/lookup.ts'
import { describeBroker, describeTopic } from './resolve.ts'
import type { Sources } from './resolve.ts'

type Wanted = Readonly<Record<string, string | null>>

/**
 * The settings a new topic is asked to have, checked.
 * @throws Refusal INVALID_CONFIG
 */
export function checkTopicSettings(wanted: Wanted): Record<string, string> {
  return checkAll('topic', wanted)
}

const checkAll = (level: Level, wanted: Wanted): Record<string, string> =>
  Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, checkChange(level, name, value)]))

/** @throws Refusal INVALID_CONFIG when the name is unknown or fixed while running, or the value is not allowed */
function checkChange(level: Level, name: string, value: string | null): string {
  const setting = checkChangeable(level, name)
  if (value === null) throw new Refusal('INVALID_CONFIG', `${name} needs a value`)
  valueOf(setting, value)
  return value.trim()
}

function checkChangeable(level: Level, name: string) {
  const setting = named(level, name)
  if (setting.dynamic) return setting
  const message =
    setting.alias !== undefined && setting.row.topic !== undefined
      ? `${name} cannot change while the broker runs: change ${setting.row.broker}`
      : `${name} cannot change while the broker runs: start it with another value`
  throw new Refusal('INVALID_CONFIG', message)
}

export type Alteration = {
  readonly name: string
  readonly op: 'set' | 'delete' | 'append' | 'subtract'
  readonly value: string | null
}

/**
 * The change that IncrementalAlterConfigs asks for; append and subtract are for lists, as Kafka has them.
 * @throws Refusal INVALID_CONFIG, INVALID_REQUEST when a setting is named twice
 */
export function planAlteration(
  level: Level,
  alterations: readonly Alteration[],
  sources: Sources,
): SettingsChange {
  const set: Record<string, string> = {}
  const unset: string[] = []
  const seen = new Set<string>()
  for (const { name, op, value } of alterations) {
    if (seen.has(name)) throw new Refusal('INVALID_REQUEST', `${name} is altered twice`)
    seen.add(name)
    // It is never set here, so it is gone.
    if (op === 'delete' && level === 'broker' && setForAll.has(name) && notHere.has(name)) continue
    if (op === 'delete') unset.push(checkChangeable(level, name).name)
    else if (op === 'set') set[name] = checkChange(level, name, value)
    else set[name] = checkChange(level, name, alteredList(level, name, op, value, sources))
  }
  return { set, unset }
}

function alteredList(
  level: Level,
  name: string,
  op: 'append' | 'subtract',
  value: string | null,
  sources: Sources,
): string {
  if (named(level, name).row.kind.type !== 'list') {
    throw new Refusal('INVALID_CONFIG', `${name} is not a list: set it instead of using ${op}`)
  }
  if (value === null) throw new Refusal('INVALID_CONFIG', `${name} needs a value`)
  const now = (level === 'topic' ? describeTopic : describeBroker)(sources).find(one => one.name === name)
  const items = itemsOf(now?.value ?? '')
  const given = itemsOf(value)
  const next = op === 'append' ? new Set([...items, ...given]) : items.filter(item => !given.includes(item))
  return [...next].join(',')
}

const itemsOf = (list: string): string[] =>
  list
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')

/**
 * The change that AlterConfigs (the old one, which names all that shall be set) asks for.
 * @throws Refusal INVALID_CONFIG
 */
export function planReplacement(
  level: Level,
  all: Wanted,
  now: Readonly<Record<string, string>>,
): SettingsChange {
  return { set: checkAll(level, all), unset: Object.keys(now).filter(name => !Object.hasOwn(all, name)) }
}
