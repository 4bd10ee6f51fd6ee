/**
 * In which answers we differ from Kafka, and why. `question` and `field` are those of the test's messages; a star stands for anything.
 * `docs/kafka-differences.md` is written from this list; the test fails for a difference that is not here, and for an entry without one.
 */
export type Listed = { readonly question: string; readonly field: string; readonly reason: string }

export const listed: readonly Listed[] = []
