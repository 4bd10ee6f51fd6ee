import type { Resource } from '../kube/api.ts'
import type { Schema } from './schema.ts'

/** A column of `kubectl get`. Those with `wide` show with `-o wide` only. */
type Column = {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date'
  readonly path: string
  readonly description?: string
  readonly wide?: true
}

type Definition = {
  readonly resource: Resource
  readonly shortNames: readonly string[]
  /** All of an object but apiVersion, kind and metadata. */
  readonly schema: Schema<unknown>
  readonly columns: readonly Column[]
  readonly subresources?: object
  /** Fields that `--field-selector` knows. */
  readonly selectable?: readonly string[]
}

const age: Column = { name: 'Age', type: 'date', path: '.metadata.creationTimestamp' }

/** Where a condition of one type stands in the status. */
export const conditionPath = (type: string, field: 'status' | 'reason' | 'message'): string =>
  `.status.conditions[?(@.type=="${type}")].${field}`

/** The CustomResourceDefinition, as the API server takes it. */
export function definition({
  resource,
  shortNames,
  schema,
  columns,
  subresources,
  selectable,
}: Definition): object {
  const { group, version, kind, plural } = resource
  const { properties, ...rest } = schema.openapi
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    // With a definition go all objects of it: no uninstall may take it.
    metadata: { name: `${plural}.${group}`, annotations: { 'helm.sh/resource-policy': 'keep' } },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames,
        categories: ['stele'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          additionalPrinterColumns: [...columns, age].map(({ path, wide, ...column }) => ({
            ...column,
            jsonPath: path,
            ...(wide ? { priority: 1 } : {}),
          })),
          ...(selectable === undefined
            ? {}
            : { selectableFields: selectable.map(jsonPath => ({ jsonPath })) }),
          schema: {
            openAPIV3Schema: { ...rest, properties: { ...objectFields, ...properties } },
          },
          ...(subresources === undefined ? {} : { subresources }),
        },
      ],
    },
  }
}

const objectFields = {
  apiVersion: { type: 'string' },
  kind: { type: 'string' },
  metadata: { type: 'object' },
}
