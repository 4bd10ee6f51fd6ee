/** A broker's record as JSON: in the file of the embedded control store, and on a Lease. What a newer Stele has added to it stays there (decision 0010). */
import * as z from 'zod/mini'
import { brokerId, incarnation } from '../base/quantities.ts'
import type { Broker } from './model.ts'

export const id = z.pipe(z.int().check(z.nonnegative()), z.transform(brokerId))
export const run = z.pipe(z.int().check(z.positive()), z.transform(incarnation))

const address = z.optional(z.object({ host: z.string(), port: z.int() }))

export const broker = z.looseObject({
  brokerId: id,
  diskId: z.string(),
  cleanStop: z.boolean(),
  bootId: z.optional(z.string()),
  rack: z.optional(z.string()),
  addresses: z.looseObject({ kafka: address, http: address, external: address, replication: address }),
  incarnation: run,
  leaving: z.optional(z.literal(true)),
  needs: z.optional(z.int().check(z.positive())),
})

/** JSON leaves out what is undefined; the model spells it out. */
export function toBroker({
  bootId,
  rack,
  addresses,
  leaving,
  needs,
  ...rest
}: z.infer<typeof broker>): Broker {
  const { kafka, http, external, replication, ...others } = addresses
  return {
    ...rest,
    bootId,
    rack,
    ...(leaving && { leaving }),
    ...(needs !== undefined && { needs }),
    addresses: {
      ...others,
      ...(kafka && { kafka }),
      ...(http && { http }),
      ...(external && { external }),
      ...(replication && { replication }),
    },
  }
}
