import { resolve } from 'node:path'

/** `test` has the names of the `describe`s before its own. */
export type TestOutcome = { readonly test: string; readonly passed: boolean }

/** Where a run of the wire tests leaves what came of each test: a file for each file of tests. */
export const outcomesFolder = resolve(import.meta.dirname, '../../../.cache/wire-outcomes')
