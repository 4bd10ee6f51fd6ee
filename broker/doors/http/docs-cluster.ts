import { errorsOf, json, type Docs } from './docs-shapes.ts'

const tags = ['cluster'] as const

export const clusterDocs: Docs = {
  operationId: 'describeCluster',
  summary: 'Describe the cluster',
  tags,
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          cluster_id: { type: 'string' },
          brokers: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                id: { type: 'integer' },
                host: { type: ['string', 'null'], description: 'Of its HTTP address.' },
                port: { type: ['integer', 'null'] },
              },
            },
          },
          version: { type: 'string' },
          uptime_ms: { type: 'integer' },
        },
      },
      'The cluster as this broker knows it.',
      {
        cluster_id: 'q1Zb3yqkTJ2cbRVTkSb0Zg',
        brokers: [{ id: 0, host: 'localhost', port: 8080 }],
        version: '0.1.0',
        uptime_ms: 86400000,
      },
    ),
    ...errorsOf(),
  },
}

export const healthDocs: Docs = {
  operationId: 'healthz',
  summary: 'Whether the process works',
  tags,
  response: {
    200: json({ type: 'object', properties: { status: { type: 'string' } } }, 'It does.', { status: 'ok' }),
  },
}

export const liveDocs: Docs = {
  operationId: 'livez',
  summary: 'Whether the process is alive: also while it recovers or stops. Kill it when this is not answered',
  tags,
  response: {
    200: json({ type: 'object', properties: { status: { type: 'string' } } }, 'It is.', { status: 'alive' }),
  },
}

export const readyDocs: Docs = {
  operationId: 'readyz',
  summary: 'Whether the broker serves requests',
  tags,
  response: {
    200: json(
      {
        type: 'object',
        properties: {
          status: { type: 'string' },
          offline: {
            type: 'integer',
            description:
              'So many of the partitions that it holds cannot be served here; missing when all can.',
          },
          partitions: {
            type: 'array',
            description: 'The first of them, and why.',
            items: {
              type: 'object',
              properties: {
                topic: { type: 'string' },
                partition: { type: 'integer' },
                reason: { type: 'string' },
              },
            },
          },
        },
      },
      'It does, as far as it can: partitions that are offline here keep no other request away.',
      { status: 'ready' },
    ),
    503: json({ $ref: 'Error#' }, 'Not yet, or no longer: the message says why.'),
  },
}

export const metricsDocs: Docs = {
  operationId: 'metrics',
  summary: 'Metrics for Prometheus',
  tags,
  response: {
    200: {
      description: 'All metrics in the text format.',
      content: { 'text/plain': { schema: { type: 'string' } } },
    },
  },
}
