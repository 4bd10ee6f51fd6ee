/** A broken promise of our own code. Nobody catches it: the process stops, and the log on disk stays as it is. */
export class InvariantViolation extends Error {
  override name = 'InvariantViolation'
}

/**
 * Says what must hold. `fact` is a sentence that is true whenever the code is right.
 * @throws InvariantViolation when it is not
 */
export function assert(holds: boolean, fact: string): asserts holds {
  if (!holds) throw new InvariantViolation(`this must hold: ${fact}`)
}

/** For the branch that cannot be reached; does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new InvariantViolation(`no case for ${JSON.stringify(value)}`)
}
