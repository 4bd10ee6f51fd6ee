import type { FastifyServerOptions } from 'fastify'

type SchemaController = NonNullable<FastifyServerOptions['schemaController']>
type Compilers = NonNullable<SchemaController['compilersFactory']>

/**
 * Fastify compiles no schema: what comes in is checked by hand, where a message can say more, and the schemas are for the
 * description of the API. It also keeps 20 MB of compilers out of memory.
 */
const compilers = {
  buildValidator: () => () => () => true,
  buildSerializer: () => () => (data: unknown) => JSON.stringify(data),
}

export const withoutCompilers: { schemaController: SchemaController } = {
  // A validator is a plain function to fastify; its type has what only Ajv's own have.
  schemaController: { compilersFactory: compilers as unknown as Compilers },
}
