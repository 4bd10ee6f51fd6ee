import { api, array, int16, int32, string } from '../schema.ts'

/** The filters name states (KIP-518) and types (KIP-848); an empty one lets everything through. */
export const listGroups = api({
  key: 16,
  name: 'ListGroups',
  versions: '0-5',
  flexible: '3+',
  request: {
    statesFilter: array(string).since(4).default([]),
    typesFilter: array(string).since(5).default([]),
  },
  response: {
    throttleTimeMs: int32.since(1).default(0),
    errorCode: int16,
    groups: array({
      groupId: string,
      protocolType: string,
      groupState: string.since(4).default(''),
      groupType: string.since(5).default(''),
    }),
  },
})
