import { expect, test } from 'vitest'
import { InvariantViolation } from '../../base/assert.ts'
import { nextRole, type Role, type RoleEvent } from './role.ts'

const roles: Role[] = ['recovering', 'leader', 'follower', 'offline', 'removed']

test.each<[RoleEvent, (Role | 'impossible')[]]>([
  ['lead', ['leader', 'leader', 'leader', 'offline', 'impossible']],
  ['follow', ['follower', 'follower', 'follower', 'offline', 'impossible']],
  ['fail', ['offline', 'offline', 'offline', 'offline', 'removed']],
  ['remove', ['removed', 'removed', 'removed', 'removed', 'removed']],
])('%s', (event, due) => {
  const found = roles.map(role => {
    try {
      return nextRole(role, event)
    } catch (error) {
      if (error instanceof InvariantViolation) return 'impossible'
      throw error
    }
  })
  expect(found).toEqual(due)
})
