import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/**
 * Unit tests that measure the process they run in: its memory, or how often V8 ran a line. All others share a process, file after
 * file, with the modules that are loaded already: hardly a module keeps anything.
 */
const measuring = [
  'broker/queues/cost.test.ts',
  'broker/doors/http/lines-in.test.ts',
  'protocol/kafka/compression.test.ts',
]

const unit = {
  globalSetup: ['test/bundle.ts'],
  testTimeout: 60_000,
  hookTimeout: 60_000,
  maxWorkers: availableParallelism(),
  sequence: { groupOrder: 1 },
}

/**
 * Files that run one at a time: they need both cores (many members at once), measure memory, or make `dist/`.
 */
const alone = ['groups', 'overload', 'million-lines', 'hostile', 'shipped'].map(
  name => `test/wire/${name}.test.ts`,
)

const wire = {
  globalSetup: ['test/bundle.ts'],
  setupFiles: ['test/wire/clients/outcomes.ts'],
  testTimeout: 240_000,
  hookTimeout: 240_000,
}

const kubernetes = {
  globalSetup: ['test/kubernetes/setup.ts'],
  fileParallelism: false,
  testTimeout: 240_000,
  hookTimeout: 240_000,
}
const healing = 'test/kubernetes/healing.test.ts'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...unit,
          name: 'unit',
          isolate: false,
          include: [
            '{base,kube,protocol,control,broker,operator,crds,cli,bench}/**/*.test.ts',
            'test/{tidy,contract,sim}/**/*.test.ts',
          ],
          exclude: measuring,
        },
      },
      {
        test: { ...unit, name: 'unit-measuring', include: measuring },
      },
      {
        // Real processes and real clients. They mostly wait: for time-outs of sessions, for other programs, for the disk.
        test: {
          ...wire,
          name: 'wire',
          include: ['test/wire/**/*.test.ts'],
          exclude: ['test/wire/clients/page.test.ts', ...alone],
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...wire,
          name: 'wire-alone',
          include: alone,
          fileParallelism: false,
          maxConcurrency: 4,
          sequence: { groupOrder: 3 },
        },
      },
      {
        // What the wire tests found is compared with what is written about it, when they are through.
        test: {
          name: 'clients',
          include: ['test/wire/clients/page.test.ts'],
          sequence: { groupOrder: 4 },
          hookTimeout: 240_000,
        },
      },
      {
        // An earlier version, of which the history is needed: docs/decisions/0010-versions-side-by-side.md.
        test: {
          ...wire,
          name: 'upgrade',
          include: ['test/upgrade/**/*.test.ts'],
          setupFiles: [],
          testTimeout: 900_000,
          fileParallelism: false,
          sequence: { groupOrder: 6 },
        },
      },
      {
        // A whole Kubernetes: test/kubernetes/README.md.
        test: {
          ...kubernetes,
          name: 'kubernetes',
          include: ['test/kubernetes/**/*.test.ts'],
          exclude: [healing],
          sequence: { groupOrder: 5 },
        },
      },
      {
        // Faults of nodes, brokers and the API server under load: minutes in which real clients wait for their own time-outs.
        test: { ...kubernetes, name: 'healing', include: [healing], sequence: { groupOrder: 7 } },
      },
    ],
  },
})
