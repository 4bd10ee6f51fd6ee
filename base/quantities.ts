declare const brand: unique symbol
type Branded<Name extends string> = number & { readonly [brand]: Name }

/** A record's number in its tablet; rises without gaps as the leader gives it. At most 2^53 - 1. */
export type Offset = Branded<'Offset'>
/** A tablet's leadership number; grows by one with each new leader. */
export type Epoch = Branded<'Epoch'>
/** A broker's number; never changes and is never reused. */
export type BrokerId = Branded<'BrokerId'>
/** One run of a broker on one disk; grows with each start. */
export type Incarnation = Branded<'Incarnation'>

export const offset = (n: number): Offset => n as Offset
export const epoch = (n: number): Epoch => n as Epoch
export const brokerId = (n: number): BrokerId => n as BrokerId
export const incarnation = (n: number): Incarnation => n as Incarnation

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB
