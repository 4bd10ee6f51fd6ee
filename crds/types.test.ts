import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { LogCluster } from '../control/kubernetes/resources/log-cluster.ts'
import type { LogTopic } from '../control/kubernetes/resources/log-topic.ts'
import type { TabletSlice } from '../control/kubernetes/resources/tablet-slice.ts'
import type { logCluster } from './log-cluster.ts'
import type { logTopic } from './log-topic.ts'
import type { ShapeOf } from './schema.ts'
import type { tabletSlice } from './tablet-slice.ts'

/** `T` with its intersections merged, so that what is the same is written the same. */
type Plain<T> = T extends readonly (infer Item)[]
  ? readonly Plain<Item>[]
  : T extends object
    ? keyof T extends never
      ? object
      : { [K in keyof T]: Plain<T[K]> }
    : T

/**
 * Whether two types have the same fields, each as optional in one as in the other. Assignable both ways would not say so; the compiler
 * takes these two functions for assignable only when the types in them are identical.
 */
type Same<A, B> =
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what it is for, see above
  (<T>() => T extends Plain<A> ? 1 : 2) extends <T>() => T extends Plain<B> ? 1 : 2 ? true : false

type Body<T> = Omit<T, 'apiVersion' | 'kind' | 'metadata'>

/** Does not compile when the schemas of crds/ and the types that programs use are not the same. */
export const agreed: [
  Same<ShapeOf<typeof logCluster>, Pick<LogCluster, 'spec' | 'status'>>,
  Same<ShapeOf<typeof logTopic>, Pick<LogTopic, 'spec' | 'status'>>,
  Same<ShapeOf<typeof tabletSlice>, Pick<TabletSlice, 'topic' | 'first' | 'tablets'>>,
] = [true, true, true]

/** And nothing stands beside what is compared. */
export const whole: [
  Same<Record<keyof Body<LogCluster>, 1>, Record<'spec' | 'status', 1>>,
  Same<Record<keyof Body<LogTopic>, 1>, Record<'spec' | 'status', 1>>,
  Same<Record<keyof Body<TabletSlice>, 1>, Record<'topic' | 'first' | 'tablets', 1>>,
] = [true, true, true]

/** The comparison sees every kind of difference. */
export const different: [
  Same<{ a: string }, { a: number }>,
  Same<{ a: string }, { a?: string }>,
  Same<{ a: string }, { a: string; b?: string }>,
  Same<{ a: { b: 'x' | 'y' } }, { a: { b: 'x' } }>,
  Same<{ a: readonly { b: string }[] }, { a: readonly { b: string; c?: number }[] }>,
  Same<{ a?: object }, { a?: string }>,
  Same<{ a?: object }, { a?: { b?: string } }>,
] = [false, false, false, false, false, false, false]

const root = join(import.meta.dirname, '..')
const compile = (file: string): Promise<unknown> => {
  const project = mkdtempSync(join(root, '.cache', 'types-'))
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.json', include: [], files: [file] }),
  )
  return promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', project]).finally(() =>
    rmSync(project, { recursive: true }),
  )
}

test('the types of the resources are those of their schemas', async () => {
  await expect(compile(import.meta.filename)).resolves.toMatchObject({ stdout: '' })
})
