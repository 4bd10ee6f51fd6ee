/**
 * Runs before each file of the wire tests. What came of its tests is kept in the checkout's cache, a file for each, so that
 * the page of clients is written from what was run.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeEach } from 'vitest'
import { foreignBootstrap, isKafka } from '../broker.ts'
import { outcomesFolder, type TestOutcome } from './outcomes-folder.ts'

const outcomes: TestOutcome[] = []
let file = ''

beforeEach(context => {
  file = relative(join(import.meta.dirname, '..'), context.task.file.filepath)
  context.onTestFinished(({ task }) => {
    const names = [task.name]
    for (let suite = task.suite; suite !== undefined; suite = suite.suite) names.unshift(suite.name)
    outcomes.push({ test: names.join(' > '), passed: task.result?.state === 'pass' })
  })
})

afterAll(() => {
  if (file === '' || isKafka || foreignBootstrap !== undefined) return
  const path = join(outcomesFolder, `${file}.json`)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, JSON.stringify(outcomes, null, 2))
})
