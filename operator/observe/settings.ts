import { Refusal } from '../../base/refusals.ts'
import { named, valueOf, type Level } from '../../control/settings/lookup.ts'
import { reservedSettings } from '../resources/pod.ts'

/** One sentence for each setting that the broker would refuse, or that is not a user's to set. */
export function settingFaults(
  level: Level,
  config: Readonly<Record<string, string | number | boolean>> | undefined,
): string[] {
  return Object.entries(config ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value]) => faultOf(level, name, String(value)) ?? [])
}

function faultOf(level: Level, name: string, value: string): string | undefined {
  const reserved = level === 'broker' ? reservedSettings.get(name) : undefined
  if (reserved !== undefined) return `${name} is given to brokers by the operator: ${reserved}`
  try {
    valueOf(named(level, name), value)
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}
