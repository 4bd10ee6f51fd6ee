import { integer, list, object, oneOf, optional, text } from './schema.ts'

/** Kubernetes' meta/v1 Condition, one of each type. */
export const conditions = (types: string) =>
  list(
    `What holds of it now: ${types}. Each says why, in one word for programs and one sentence for people.`,
    object('One thing that holds, does not hold, or is not known.', {
      type: text('Which thing.', { maxLength: 64 }),
      status: oneOf('Whether it holds.', ['True', 'False', 'Unknown']),
      observedGeneration: optional(
        integer('The metadata.generation that this was found for; when it is behind, this is old.', {
          minimum: 0,
          format: 'int64',
        }),
      ),
      lastTransitionTime: text('When the status last changed.', { format: 'date-time' }),
      reason: text('Why, in one word.', { minLength: 1, maxLength: 256 }),
      message: text('Why, and what to do about it.', { maxLength: 8192 }),
    }),
    { unique: { by: 'type' }, maxItems: 16 },
  )

export const observedGeneration = integer(
  'The metadata.generation that this status was made for; when it is behind, the operator has not seen the last change yet.',
  { minimum: 0, format: 'int64' },
)
