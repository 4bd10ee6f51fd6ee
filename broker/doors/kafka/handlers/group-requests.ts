/** What the requests of groups have in common. */
import { Refusal, type RefusalCode } from '../../../../base/refusals.ts'
import { codeOf, type Call } from './handler.ts'

/** Groups that share out work have a name; offsets may be committed under the empty one, as in Kafka. */
export function checkGroupId(groupId: string): void {
  if (groupId === '') throw new Refusal('INVALID_GROUP_ID', 'the group has no name')
}

/** The wire's number for what a group answered. */
export const errorOf = (refused: RefusalCode | undefined): number =>
  refused === undefined ? 0 : codeOf(refused)

/** The client's address as Java prints it and tools show it: `/10.0.0.7`. */
export const hostOf = ({ client }: Call): string =>
  `/${client
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .replace(/^::ffff:(?=[\d.]+$)/, '')}`
