/**
 * What is wrong, found in what was observed: purely, and told as a reason for programs and a sentence for people that names the field
 * and the remedy. Rules ask it before they act, the status is written from it.
 */
export type Fault = {
  /** One word in CamelCase. */
  readonly reason: string
  readonly message: string
}
