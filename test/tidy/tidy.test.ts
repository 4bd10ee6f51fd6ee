/**
 * The project's text enters; what leaves is every place that breaks one of its rules: who imports whom, where the world may be
 * touched, how things are called. What always holds: each rule is shown to find what it looks for before it is believed.
 */
import { describe, expect, test } from 'vitest'
import { foreignDoors, strangePackages, worldlyCalls, worldlyModules, wrongImports } from './layers.ts'
import { projectFiles, type Source, sourceOf, type TextFile } from './sources.ts'
import {
  anyTypes,
  barrels,
  emptyNames,
  machinePaths,
  postponed,
  registryNames,
  skippedTests,
  strangeWords,
  switchedOffChecks,
  taskNumbers,
  tooLong,
} from './wording.ts'

type Sample = readonly [path: string, text: string]
type Rule<File> = {
  readonly name: string
  readonly broken: (file: File) => string[]
  readonly bad: readonly Sample[]
  readonly good: readonly Sample[]
}

/** Keeps a sample from being found in this file itself. */
const joined = (...parts: string[]): string => parts.join('')
const at = (...folders: string[]): string => `see ${['', ...folders, 'x'].join('/')}`

const files = projectFiles()
const sources = files.filter(({ path }) => path.endsWith('.ts')).map(sourceOf)

test('the project was seen', () => {
  const importsOf = (path: string) => sources.find(source => source.path === path)?.imports
  expect(sources.length).toBeGreaterThan(100)
  expect(importsOf('broker/world/disk.ts')).toEqual([
    'node:fs',
    'node:path',
    'fs-native-extensions',
    'base/world.ts',
    'broker/world/disk-file.ts',
  ])
  expect(importsOf('base/world.ts')).toEqual([])
  expect(files.map(({ path }) => path)).toEqual(expect.arrayContaining(['package-lock.json', '.npmrc']))
  const folders = new Set(sources.map(({ path }) => path.split('/').slice(0, 2).join('/')))
  for (const folder of ['broker/doors', 'broker/log', 'broker/world', 'protocol/kafka', 'test/tidy'])
    expect(folders).toContain(folder)
})

const count = (text: string, what: string): number => text.split(what).length - 1

test('every source was read to its end: its brackets match outside of comments and quotes', () => {
  const lost = sources.filter(({ code }) =>
    ['()', '[]', '{}'].some(([open = '', close = '']) => count(code, open) !== count(code, close)),
  )
  expect(lost.map(({ path }) => path)).toEqual([])
})

const codeRules: readonly Rule<Source>[] = [
  {
    name: 'each folder imports only what it may',
    broken: wrongImports,
    bad: [
      ['base/a.ts', "import { b } from '../protocol/b.ts'"],
      ['base/a.ts', "export type { B } from '../broker/log/b.ts'"],
      ['protocol/kafka/a.ts', "import type {\n  B,\n} from '../../control/b.ts'"],
      ['control/a.ts', "await import('../broker/main.ts')"],
      ['broker/log/a.ts', "import { realWorld } from '../world/world.ts'"],
      ['broker/log/a.ts', "import { b } from '../tablet/b.ts'"],
      ['broker/tablet/a.ts', "import { b } from '../router/b.ts'"],
      ['broker/router/a.ts', "import '../doors/kafka/b.ts'"],
      ['broker/router/a.ts', "import { b } from '../queues/b.ts'"],
      ['broker/doors/kafka/a.ts', "new Worker(new URL('../../world/b.ts', import.meta.url))"],
      ['broker/main.ts', "import { b } from '../cli/b.ts'"],
      ['broker/log/a.ts', "import { simWorld } from '../../test/sim/world.ts'"],
      ['protocol/kafka/a.ts', "import { b } from './b.fixture.ts'"],
      ['broker/stuff/a.ts', ''],
    ],
    good: [
      [
        'broker/doors/kafka/a.ts',
        "import { b } from '../../log/b.ts'\nimport { c } from '../../settings/c.ts'",
      ],
      ['broker/main.ts', "import { b } from './world/world.ts'"],
      ['base/a.test.ts', "import { simWorld } from '../test/sim/world.ts'"],
      ['base/a.ts', "// import { b } from '../protocol/b.ts'\nconst text = \"import '../protocol/b.ts'\""],
      ['cli/start/a.ts', "import { b } from '../../broker/main.ts'"],
    ],
  },
  {
    name: 'the core stands on few packages',
    broken: strangePackages,
    bad: [
      ['base/a.ts', "import { z } from 'zod'"],
      ['broker/log/a.ts', "import fastify from 'fastify'"],
    ],
    good: [
      ['base/a.ts', "import { crc32c } from '@node-rs/crc32'"],
      ['broker/tablet/a.ts', "import type { Logger } from 'pino'"],
      ['broker/doors/http/a.ts', "import fastify from 'fastify'"],
    ],
  },
  {
    name: 'no door knows another',
    broken: foreignDoors,
    bad: [['broker/doors/http/a.ts', "import { b } from '../kafka/b.ts'"]],
    good: [['broker/doors/http/a.ts', "import { b } from './b.ts'\nimport { c } from '../c.ts'"]],
  },
  {
    name: 'modules that touch the world are imported only where it may be touched',
    broken: worldlyModules,
    bad: [
      ['broker/log/a.ts', "import { openSync } from 'node:fs'"],
      ['broker/log/a.ts', "import { openSync } from 'fs'"],
      ['broker/tablet/a.ts', "import { setTimeout } from 'node:timers/promises'"],
      ['broker/doors/kafka/a.ts', "import { readFile } from 'node:fs/promises'"],
      ['broker/router/a.ts', "import { connect } from 'node:net'"],
      ['protocol/kafka/a.ts', "import { randomBytes } from 'node:crypto'"],
    ],
    good: [
      ['broker/world/a.ts', "import { openSync } from 'node:fs'"],
      ['broker/doors/kafka/a.ts', "import { createServer } from 'node:net'"],
      ['protocol/kafka/a.ts', "import { gunzipSync } from 'node:zlib'"],
      ['broker/log/a.test.ts', "import { mkdtempSync } from 'node:fs'"],
    ],
  },
  {
    name: 'clock, timers and chance are handed in',
    broken: worldlyCalls,
    bad: [
      ['broker/log/a.ts', 'const now = Date.now()'],
      ['broker/log/a.ts', 'const now = new Date()'],
      ['broker/doors/http/a.ts', 'setTimeout(act, 5)'],
      ['broker/doors/kafka/a.ts', 'globalThis.setImmediate(act)'],
      ['broker/tablet/a.ts', 'setInterval(act, 5)'],
      ['control/a.ts', 'const start = performance.now()'],
      ['base/a.ts', 'const text = `${Math.random()}`'],
      ['protocol/kafka/a.ts', 'process.hrtime.bigint()'],
      ['control/a.ts', 'const id = crypto.randomUUID()'],
    ],
    good: [
      ['broker/world/a.ts', 'Date.now()'],
      [
        'broker/log/a.ts',
        "const written = new Date(timestampMs).toISOString() // not Date.now()\nlog('Date.now()')",
      ],
      ['broker/doors/kafka/a.ts', 'socket.setTimeout(0)'],
      ['bench/a.ts', 'performance.now()'],
    ],
  },
  {
    name: 'no any',
    broken: anyTypes,
    bad: [
      ['cli/a.ts', 'let a: any'],
      ['cli/a.ts', 'const a = b as any'],
      ['cli/a.ts', 'const a: Map<string, any> = b'],
      ['cli/a.ts', 'const a: any[] = []'],
      ['cli/a.ts', 'function f(...rest: readonly any[]) {}'],
      ['cli/a.ts', 'type A = string | any\n'],
    ],
    good: [
      [
        'cli/a.ts',
        "// any: of them\nawait Promise.any([a])\nconst any = 'any'\nconst a = { any: 1 }\nf(many, company)",
      ],
    ],
  },
  {
    name: 'no check of types is switched off without a reason',
    broken: switchedOffChecks,
    bad: [
      ['cli/a.ts', joined('// @ts-', 'ignore')],
      ['cli/a.ts', joined('/* @ts-', 'expect-error */')],
    ],
    good: [['cli/a.ts', '// @ts-expect-error -- the type of a lacks b']],
  },
  {
    name: 'no test is skipped',
    broken: skippedTests,
    bad: [
      ['base/a.test.ts', "test.skip('a', () => {})"],
      ['base/a.test.ts', "describe.only('a', () => {})"],
    ],
    good: [['base/a.test.ts', "test.each([1])('a', () => {})"]],
  },
  {
    name: 'nothing is put off',
    broken: postponed,
    bad: [['base/a.ts', joined('// TO', 'DO: the rest')]],
    good: [['base/a.ts', '// all is done']],
  },
  {
    name: 'names say something',
    broken: emptyNames,
    bad: [
      ['base/utils.ts', ''],
      ['broker/common/a.ts', ''],
      ['broker/log/file-helpers.ts', ''],
      ['cli/a.ts', 'export class TopicManager {}'],
      ['cli/a.ts', 'export type LogService = {}'],
    ],
    good: [['broker/log/service-level.ts', 'class Segment {}\nconst common = 1']],
  },
  {
    name: 'no barrels',
    broken: barrels,
    bad: [['base/a.ts', "export * from './b.ts'"]],
    good: [['base/a.ts', "// export * from './b.ts'\nexport const a = 2 * 3"]],
  },
  {
    name: 'no source above 600 lines',
    broken: tooLong,
    bad: [['base/a.ts', 'line\n'.repeat(601)]],
    good: [['base/a.ts', 'line\n'.repeat(600)]],
  },
]

const textRules: readonly Rule<TextFile>[] = [
  {
    name: 'no registry is named',
    broken: registryNames,
    bad: [
      ['package-lock.json', joined('"resolved"', ': "a.tgz"')],
      ['package-lock.json', joined('"url": "https://', 'registry.example.org/a"')],
      ['.npmrc', joined('registry', '=http://localhost')],
    ],
    good: [
      [
        'package-lock.json',
        '"omit-lockfile-registry-resolved": true, "url": "https://github.com/sponsors/a"',
      ],
    ],
  },
  {
    name: "no path of somebody's machine",
    broken: machinePaths,
    bad: [
      ['docs/a.md', at('home', 'somebody')],
      ['docs/a.md', at('root')],
      ['cli/a.ts', at('Users', 'somebody')],
      ['cli/a.ts', at('tmp')],
    ],
    good: [['docs/a.md', 'see /data/topic, ./work/x, https://example.org/home/x and $HOME/x']],
  },
  {
    name: 'no numbered task',
    broken: taskNumbers,
    bad: [
      ['docs/a.md', joined('done in issue', ' #3')],
      ['base/a.ts', joined('// Task', ' 12')],
    ],
    good: [['docs/a.md', 'an issue with 3 brokers']],
  },
  {
    name: 'no strangers',
    broken: strangeWords,
    bad: [['docs/a.md', joined('Open', 'AI')]],
    good: [['docs/a.md', 'a broker opens its doors']],
  },
]

const titleOf = ([path, text]: Sample): string => `${path}: ${JSON.stringify(text.slice(0, 80))}`

function judge<File>(
  rules: readonly Rule<File>[],
  read: (file: TextFile) => File,
  all: readonly File[],
): void {
  describe.each(rules)('$name', ({ broken, bad, good }) => {
    const judged = ([path, text]: Sample): string[] => broken(read({ path, text }))
    for (const sample of bad)
      test(`finds what is wrong in ${titleOf(sample)}`, () => {
        expect(judged(sample)).not.toEqual([])
      })
    for (const sample of good)
      test(`lets pass what is right in ${titleOf(sample)}`, () => {
        expect(judged(sample)).toEqual([])
      })
    test('holds everywhere', () => {
      expect(all.flatMap(broken)).toEqual([])
    })
  })
}

judge(codeRules, sourceOf, sources)
judge(textRules, file => file, files)
