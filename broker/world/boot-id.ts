import { readFileSync } from 'node:fs'

/** The kernel's name for the time since this machine was started, containers included; undefined where it has none. */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return undefined
  }
}
