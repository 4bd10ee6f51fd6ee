/** The life of a group as a total table: every event in every state has an answer, and a missing one does not compile. */
import { assert } from '../../base/assert.ts'

/**
 * Kafka's names, as its tools show them. Empty: offsets at most, no members. PreparingRebalance: members are waited for.
 * CompletingRebalance: a generation began, and its leader is sharing out the work. Stable: everybody may know his share.
 * Dead: deleted, or no longer coordinated here.
 */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead'

/** prepare: members have to join anew. joined: they did. emptied: nobody did. assigned: everyone's share is kept. end: see Dead. */
export type GroupEvent = 'prepare' | 'joined' | 'emptied' | 'assigned' | 'end'

const transitions: Record<GroupState, Record<GroupEvent, GroupState | 'impossible'>> = {
  Empty: {
    prepare: 'PreparingRebalance',
    joined: 'impossible',
    emptied: 'impossible',
    assigned: 'impossible',
    end: 'Dead',
  },
  PreparingRebalance: {
    prepare: 'impossible',
    joined: 'CompletingRebalance',
    emptied: 'Empty',
    assigned: 'impossible',
    end: 'Dead',
  },
  CompletingRebalance: {
    prepare: 'PreparingRebalance',
    joined: 'impossible',
    emptied: 'impossible',
    assigned: 'Stable',
    end: 'Dead',
  },
  Stable: {
    prepare: 'PreparingRebalance',
    joined: 'impossible',
    emptied: 'impossible',
    assigned: 'impossible',
    end: 'Dead',
  },
  Dead: {
    prepare: 'impossible',
    joined: 'impossible',
    emptied: 'impossible',
    assigned: 'impossible',
    end: 'Dead',
  },
}

export const groupStates = Object.keys(transitions) as GroupState[]

export function nextGroupState(state: GroupState, event: GroupEvent): GroupState {
  const next = transitions[state][event]
  assert(next !== 'impossible', `a group that is ${state} is never told '${event}'`)
  return next
}
