import { readFileSync } from 'node:fs'
import { readSettings } from '../../broker/settings/file.ts'
import { usageFailure } from '../failure.ts'

export type Given = { readonly set?: readonly string[]; readonly config?: string }

/** @throws Refusal INVALID_CONFIG, Failure when --config cannot be read */
export const settingsOf = ({ config, set = [] }: Given): Record<string, string> =>
  readSettings({ ...(config !== undefined && { file: readConfig(config) }), set })

function readConfig(path: string): { path: string; text: string } {
  try {
    return { path, text: readFileSync(path, 'utf8') }
  } catch (error) {
    throw usageFailure(`${path} cannot be read: ${(error as Error).message}`, 'Check --config.')
  }
}
