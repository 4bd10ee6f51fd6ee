import { defineConfig } from 'vitest/config'

/**
 * Files that run one at a time: they need both cores (many members at once), measure memory, or share `dist/`.
 */
const alone = ['groups', 'overload', 'million-lines', 'hostile', 'start', 'shipped', 'cli'].map(
  name => `test/wire/${name}.test.ts`,
)

const wire = {
  setupFiles: ['test/wire/clients/outcomes.ts'],
  testTimeout: 240_000,
  hookTimeout: 240_000,
}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          testTimeout: 60_000,
          sequence: { groupOrder: 1 },
          include: [
            '{base,kube,protocol,control,broker,operator,crds,cli,bench}/**/*.test.ts',
            'test/{tidy,contract,sim}/**/*.test.ts',
          ],
        },
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
        // A whole Kubernetes: test/kubernetes/README.md.
        test: {
          name: 'kubernetes',
          include: ['test/kubernetes/**/*.test.ts'],
          globalSetup: ['test/kubernetes/setup.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 5 },
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
})
