/** The witness of a group complains of what it should, and of nothing else. */
import { expect, test } from 'vitest'
import { GroupWitness } from './failover-members.ts'

/** One commit for partition 0 that was acknowledged in epoch 1, in generation 1. */
function committed(witness: GroupWitness, atMs = 10) {
  const commit = witness.sends(0, 1, atMs)
  witness.committed(commit, atMs + 5, 1)
  return commit
}

test('what was committed last is found, or something newer whose answer was lost', () => {
  const witness = new GroupWitness()
  witness.shared(1, 'a', 5, 6)
  const { value } = committed(witness)
  witness.fetched(0, value, 1, 20)
  const lost = witness.sends(0, 1, 30)
  witness.fetched(0, lost.value, 2, 40)
  // Who coordinated before need not know.
  witness.fetched(0, undefined, 0, 50)
  witness.shared(2, 'b', 60, 61)
  expect(witness.complaints).toEqual([])
})

test.each<[string, (witness: GroupWitness) => void, RegExp]>([
  [
    'a commit that is lost',
    witness => {
      committed(witness)
      witness.fetched(0, undefined, 2, 20)
    },
    /epoch 2 says undefined for partition 0; 0 was acknowledged in epoch 1/,
  ],
  [
    'one that goes back',
    witness => {
      const first = committed(witness)
      committed(witness, 20)
      witness.fetched(0, first.value, 1, 30)
    },
    /epoch 1 says 0 for partition 0; 1 was acknowledged/,
  ],
  [
    'one that was refused and is there',
    witness => {
      const commit = witness.sends(0, 1, 10)
      commit.refused = true
      witness.fetched(0, commit.value, 1, 20)
    },
    /commit 0 was refused and is there/,
  ],
  [
    'a generation that is shared out twice',
    witness => {
      witness.shared(3, 'a', 10, 11)
      witness.shared(3, 'b', 20, 21)
    },
    /generation 3 was shared out twice: a, b/,
  ],
  [
    'one that is shared out after a later one',
    witness => {
      witness.shared(4, 'a', 10, 11)
      witness.shared(3, 'b', 20, 21)
    },
    /shares were told in generation 3 when 4 had been shared out/,
  ],
  [
    'a commit in a generation that is over',
    witness => {
      witness.shared(2, 'a', 1, 2)
      committed(witness)
    },
    /commit 0 was acknowledged in generation 1 when 2 had been shared out/,
  ],
])('%s is complained about', (_what, tell, complaint) => {
  const witness = new GroupWitness()
  tell(witness)
  expect(witness.complaints.join('; ')).toMatch(complaint)
})
