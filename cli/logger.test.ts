import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Failure } from './failure.ts'
import { openLog } from './logger.ts'

const directory = mkdtempSync(join(tmpdir(), 'stele-log-'))
afterAll(() => rmSync(directory, { recursive: true }))

test('the file has every line of the level and above, as JSON, at once', async () => {
  const file = join(directory, 'new', 'stele.log')
  const log = await openLog({ level: 'error', file, terminal: false })
  log.error({ topic: 'orders' }, 'a test of the log')
  log.info('not this')
  const lines = readFileSync(join(directory, 'new', 'stele.1.log'), 'utf8')
    .trimEnd()
    .split('\n')
  expect(lines.map(line => JSON.parse(line) as unknown)).toMatchObject([
    { level: 50, topic: 'orders', msg: 'a test of the log' },
  ])
})

test('a file that cannot be is a failure', async () => {
  const inTheWay = join(directory, 'file')
  writeFileSync(inTheWay, '')
  const opening = openLog({ level: 'info', file: join(inTheWay, 'stele.log'), terminal: false })
  await expect(opening).rejects.toThrow(Failure)
})

test.runIf(process.platform === 'linux')('a disk that is full does not stop who writes the log', async () => {
  mkdirSync(join(directory, 'full'))
  symlinkSync('/dev/full', join(directory, 'full', 'stele.1.log'))
  const log = await openLog({ level: 'fatal', file: join(directory, 'full', 'stele.log'), terminal: false })
  expect(() => {
    log.fatal('a test of the log, first line')
    log.fatal('a test of the log, second line')
  }).not.toThrow()
})
