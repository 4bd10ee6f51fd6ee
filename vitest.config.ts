import { defineConfig } from 'vitest/config'

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
        // Real processes and real clients: one file at a time, so that two cores are not fought over.
        test: {
          name: 'wire',
          include: ['test/wire/**/*.test.ts'],
          exclude: ['test/wire/clients/page.test.ts'],
          setupFiles: ['test/wire/clients/outcomes.ts'],
          fileParallelism: false,
          maxConcurrency: 4,
          sequence: { groupOrder: 2 },
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        // What the wire tests found is compared with what is written about it, when they are through.
        test: {
          name: 'clients',
          include: ['test/wire/clients/page.test.ts'],
          sequence: { groupOrder: 3 },
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
          sequence: { groupOrder: 4 },
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
})
