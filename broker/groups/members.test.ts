import { expect, test } from 'vitest'
import { GroupMemory } from './group-memory.ts'
import { Members, newMember, noBytes } from './members.ts'

const members = (...protocols: string[][]): Members => {
  const all = new Members(new GroupMemory(1e9))
  for (const [n, names] of protocols.entries())
    all.add({ ...newMember(`m${n}`, null), protocols: names.map(name => ({ name, metadata: noBytes })) })
  return all
}

test('the protocol that most like best wins, of those that all know', () => {
  expect(members(['a', 'b', 'c'], ['c', 'b'], ['b', 'a', 'c']).vote()).toBe('b')
  expect(members(['a', 'b'], ['b', 'a'], ['b', 'a']).vote()).toBe('b')
  expect(members(['a'], ['b']).vote()).toBeUndefined()
})

test('a protocol that one member names twice is known to that one alone', () => {
  expect(members(['a', 'a'], ['b']).vote()).toBeUndefined()
  expect(members(['a', 'a', 'b'], ['b']).vote()).toBe('b')
})

test('what is known follows members that come, change their mind and go', () => {
  const all = members(['a', 'b'], ['b'])
  const has = (name: string) => all.haveInCommon([{ name, metadata: noBytes }])
  expect([has('a'), has('b')]).toEqual([false, true])
  const [first, second] = [...all]
  if (first === undefined || second === undefined) throw new Error('there are two members')
  all.update(second, { protocols: [{ name: 'a', metadata: noBytes }] })
  expect([has('a'), has('b')]).toEqual([true, false])
  all.update(second, { assignment: Buffer.from('share') })
  all.remove(second)
  expect([has('a'), has('b'), has('c')]).toEqual([true, true, false])
  all.rename(first, 'another')
  expect([has('a'), has('b'), has('c')]).toEqual([true, true, false])
})

test('members with very many protocols are compared in few steps', () => {
  let read = 0
  const many = (prefix: string) =>
    Array.from({ length: 1_000 }, (_, n) => ({
      metadata: noBytes,
      get name() {
        read += 1
        return `${prefix}${n}`
      },
    }))
  const all = members(['a0'], ['b0'])
  for (const [n, prefix] of ['a', 'b'].entries()) {
    const member = all.get(`m${n}`)
    if (member !== undefined) all.update(member, { protocols: many(prefix) })
  }
  expect(all.haveInCommon(many('c'))).toBe(false)
  expect(all.vote()).toBeUndefined()
  expect(read).toBeLessThan(20_000)
})
